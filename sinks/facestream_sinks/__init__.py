"""Sinks: results carried from the broker to files, webhooks and MQTT, each at least once."""
