"""The project's own measurements: tables for people, JSON in bench/out."""
