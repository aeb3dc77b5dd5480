"""The page behind nginx, by the configuration that docs/questions.md shows."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import ROOT
from pages import free_port, served
from playwright.sync_api import Page, expect

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
SHOWN = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="needs nginx (apt-get install nginx)"),
]


@contextmanager
def nginx(server: str, folder: Path) -> Iterator[None]:
    paths = "".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
    user = "user root;" if os.geteuid() == 0 else ""  # who may read pytest's folders
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {paths}\n{server} }}"
    )
    line = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    subprocess.run([*line, "-t"], check=True, capture_output=True)
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("way", ["path taken away", "path left", "no path"])
def test_pictures_are_answered_and_other_sites_stay_out(
    way: str, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    (found,) = re.findall(r"```nginx\n(.*?)```", SHOWN, re.DOTALL)
    prefix = "" if way == "no path" else "/pets"
    port = free_port()
    with served(env={"GRADIO_ROOT_PATH": prefix}) as inside:
        config = found.replace("listen 80", f"listen 127.0.0.1:{port}")
        config = config.replace("127.0.0.1:7860", urlsplit(inside).netloc)
        if way == "path taken away":
            config = config.replace(f"{urlsplit(inside).netloc};", f"{urlsplit(inside).netloc}/;")
        config = config.replace("/pets", prefix)
        # Browsers ask for this one at the host's root, which is not the page's.
        config = config.replace("{", "{ location = /favicon.ico { return 204; }", 1)
        url = f"http://127.0.0.1:{port}{prefix}/"
        with nginx(config, tmp_path):
            page = new_page(url)
            page.locator("#picture-file").set_input_files(ROOT / "examples" / "ship.png")
            expect(page.locator("#answer .verdict")).to_contain_text("ship")
            expect(page.locator("#stage .heat")).to_be_visible()
            for origin, status in (("http://evil.example", 403), (url[: -len(prefix) - 1], 200)):
                sent = httpx.post(
                    f"{url}gradio_api/upload",
                    files={"files": ("a.png", b"x")},
                    headers={"Origin": origin},
                )
                assert sent.status_code == status
            assert httpx.get(f"{url}metrics").status_code == 403
            if way == "path left":  # taken away twice, it would be let in
                assert httpx.get(f"{url}pets/metrics").status_code == 404
