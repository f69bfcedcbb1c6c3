"""The PromQL that panels have in common."""

from __future__ import annotations

RATE = "[$__rate_interval]"
CAMERA = '{camera="$camera"}'
WORKER = '{instance="$instance"}'
PER_SECOND = "suffix:/s"


def quantiles(name: str, labels: str = "") -> dict[str, str]:
    """The median, the 95th and the 99th of a histogram."""
    return {f"p{round(share * 100)}": quantile(share, name, labels) for share in (0.5, 0.95, 0.99)}


def quantile(share: float, name: str, labels: str = "", by: str = "le") -> str:
    return f"histogram_quantile({share}, sum by ({by}) (rate({name}_bucket{labels}{RATE})))"


def mean(name: str, labels: str = "", by: str = "") -> str:
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({name}_sum{labels}{RATE})) / {grouped}(rate({name}_count{labels}{RATE}))"


def rate(name: str, labels: str = "", by: str = "") -> str:
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({name}{labels}{RATE}))"


def or_zero(query: str) -> str:
    """What is absent until it happens for the first time."""
    return f"{query} or vector(0)"
