"""The dashboards as Grafana reads them, from the files beside this one.

python -m deploy.grafana            say which files differ from the code
python -m deploy.grafana --write    write them (`make docs`)
"""

from __future__ import annotations

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.broker import BROKER
from deploy.grafana.camera import ONE_CAMERA
from deploy.grafana.fleet import FLEET
from deploy.grafana.panels import Page, build
from deploy.grafana.worker import ONE_WORKER

FOLDER = Path(__file__).parent
PAGES = (FLEET, ONE_CAMERA, ONE_WORKER, BROKER)


def to_json(page: Page) -> str:
    return JSONEncoder(sort_keys=True, indent=2).encode(build(page).build()) + "\n"


def file_of(page: Page) -> Path:
    return FOLDER / f"{page.name}.json"


def main() -> int:
    differing = [page for page in PAGES if not _is_current(page)]
    for page in differing:
        if "--write" in sys.argv[1:]:
            file_of(page).write_text(to_json(page), encoding="utf-8")
        else:
            print(f"{file_of(page).name} is not what the code gives: python -m deploy.grafana --write")
    return bool(differing) and "--write" not in sys.argv[1:]


def _is_current(page: Page) -> bool:
    return file_of(page).is_file() and file_of(page).read_text(encoding="utf-8") == to_json(page)


if __name__ == "__main__":
    sys.exit(main())
