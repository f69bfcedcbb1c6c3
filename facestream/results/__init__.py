"""Reading results: what a program that consumes them needs, with `redis` and `msgpack` alone.

`session` decides, and does no input or output; `reader` and `async_reader` carry out what it asks for.
"""
