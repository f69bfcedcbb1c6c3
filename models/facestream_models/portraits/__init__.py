"""Two portraits in the package: the demo scene is made of them, and engines are tried on them."""

from importlib.resources import files

PORTRAITS = ("astronaut.png", "luispedro.jpg")


def portrait_bytes(name: str) -> bytes:
    return files(__package__).joinpath(name).read_bytes()
