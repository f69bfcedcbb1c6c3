"""Captures frames from files, folders and devices and publishes them."""
