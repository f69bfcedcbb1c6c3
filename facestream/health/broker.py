"""Whether a broker is fit to carry frames, and what using it means for the pictures."""

from __future__ import annotations

import ipaddress
from urllib.parse import parse_qs, urlsplit

from facestream.bus.probe import BrokerFacts, probe
from facestream.contract import VERSION
from facestream.errors import BusError, BusUnavailable, SettingsError
from facestream.health.check import Check, fail, ok, warn
from facestream.redaction import redact

NEARLY_FULL = 0.9
CLOCK_MS = 500.0
MIB = 1 << 20
_ADDRESSES = (
    "write redis://host:6379/0, rediss:// for TLS, or unix:///path, and / # ? of a password as %2F %23 %3F"
)


def check_broker(url: str, prefix: str, partitions: int | None) -> list[Check]:
    """Everything about the broker at `url`; just the one finding when it does not let us in."""
    try:
        facts = probe(url, prefix)
    except SettingsError:
        # Not the driver's own words: they may quote a piece of the password.
        text = f"{redact(url)} is no broker address"
        return [fail("broker", text, _ADDRESSES)]
    except BusUnavailable as error:
        return [fail("broker", redact(str(error)), "start it, or correct --redis or FACESTREAM_REDIS")]
    except BusError as error:
        what, _, remedy = redact(str(error)).rpartition("): ")
        return [fail("broker", f"{what})", remedy) if what else fail("broker", remedy, "see its log")]
    return [
        ok("broker", f"{redact(url)} answers"),
        _version(facts),
        _role(facts),
        _eviction(facts),
        _memory(facts),
        *_persistence(facts),
        _clock(facts),
        _transport(url),
        _deployment(facts, partitions),
    ]


def _version(facts: BrokerFacts) -> Check:
    text = f"{facts.kind} {facts.version}"
    if facts.too_old:
        return fail("broker version", text, facts.too_old)
    return ok("broker version", text)


def _role(facts: BrokerFacts) -> Check:
    if facts.role != "master":
        return fail("broker role", f"a {facts.role}, which takes no frames", "name its master instead")
    if facts.masters is not None:
        return ok("broker role", f"cluster of {facts.masters} masters")
    return ok("broker role", "single server")


def _eviction(facts: BrokerFacts) -> Check:
    evicting = [policy for policy in facts.policies if policy != "noeviction"]
    if not evicting:
        return ok("broker eviction", "noeviction")
    text = f"{', '.join(evicting)}: it may throw frames away uncounted, so every command refuses it"
    return fail("broker eviction", text, "CONFIG SET maxmemory-policy noeviction, and the same in its file")


def _memory(facts: BrokerFacts) -> Check:
    name, used = "broker memory", facts.used_bytes
    if not facts.max_bytes:
        text = f"{used / MIB:.0f} MiB used, no maxmemory: it may take all of its machine's"
        return warn(name, text, "CONFIG SET maxmemory 512mb or more, and the same in its file")
    share = used / facts.max_bytes
    text = f"{used / MIB:.0f} of {facts.max_bytes / MIB:.0f} MiB used ({share:.0%})"
    if share < NEARLY_FULL:
        return ok(name, text)
    return warn(name, f"{text}: frames are refused when it is full", "raise maxmemory, or keep fewer results")


def _persistence(facts: BrokerFacts) -> list[Check]:
    name, checks = "broker persistence", []
    if facts.append_only:
        text = "append-only file: pictures reach its disk and stay there until the file is rewritten"
        checks.append(warn(name, text, "CONFIG SET appendonly no, unless that disk may hold pictures"))
    if facts.snapshots is None:
        text = "it does not tell whether it writes snapshots (CONFIG is refused)"
        checks.append(warn(name, text, 'see that its setting `save` is ""'))
    elif facts.snapshots:
        text = f"snapshots (save {facts.snapshots}): pictures in flight at that moment reach its disk"
        checks.append(warn(name, text, 'CONFIG SET save "", unless that disk may hold pictures'))
    return checks or [ok(name, "none: pictures stay in its memory")]


def _clock(facts: BrokerFacts) -> Check:
    ahead = facts.clock_ahead_ms
    text = f"{abs(ahead):.1f} ms {'ahead of' if ahead >= 0 else 'behind'} this machine"
    text += f" (± {facts.clock_error_ms:.1f})"
    if abs(ahead) - facts.clock_error_ms < CLOCK_MS:
        return ok("broker clock", text)
    remedy = "let both follow a time server (NTP); ages are judged by the broker's, capture times by ours"
    return warn("broker clock", text, remedy)


def _transport(url: str) -> Check:
    name, parts = "broker transport", urlsplit(url)
    if parts.scheme == "unix":
        return ok(name, "unix socket, inside this machine")
    if parts.scheme == "rediss":
        if parse_qs(parts.query).get("ssl_cert_reqs", ["required"])[0].lower() != "required":
            remedy = "leave ssl_cert_reqs out; ssl_ca_certs=FILE names your own authority"
            return warn(name, "TLS, but its certificate is not checked", remedy)
        return ok(name, "TLS")
    if _is_here(parts.hostname or "localhost"):
        return ok(name, "plaintext, inside this machine")
    text = "plaintext to another host: pictures and the password can be read on the way"
    return warn(name, text, "use rediss:// (TLS), or a private network you trust")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _deployment(facts: BrokerFacts, partitions: int | None) -> Check:
    name, meta = "deployment", facts.meta
    if not meta:
        return ok(name, "none yet: the first producer or worker founds it")
    contract, agreed = meta.get("contract", "?"), meta.get("partitions", "?")
    text = f"incarnation {meta.get('incarnation', '?')}, {agreed} partition{'s' if agreed != '1' else ''}"
    text += f", contract version {contract}"
    if contract != str(VERSION):
        return fail(name, text, f"this release speaks version {VERSION}: run the same release everywhere")
    if partitions is not None and agreed != str(partitions):
        remedy = f"FACESTREAM_PARTITIONS is {partitions}: leave it out, or use an empty broker"
        return fail(name, text, remedy)
    return ok(name, text)
