"""nginx in front of the replicas."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from fleet.keeper import Keeper
from fleet.shared import Failed
from fleet.shared import free_port

PATIENCE = 20.0

# A prediction is safe to send again, a command is not: nginx sends those again only if no replica got them.
CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log {folder}/log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_timeout 1h;
  keepalive_requests 100000000;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  # A server without a token takes commands under an IP address only.
  proxy_set_header Host $http_host;
  proxy_connect_timeout 1s;
  upstream serin {{
    {servers}
    keepalive 32;
  }}
  server {{
    listen 127.0.0.1:{port};
    add_header x-upstream $upstream_addr always;
    add_header x-upstream-status $upstream_status always;
    location / {{
      proxy_pass http://serin;
      proxy_read_timeout 40s;
      proxy_buffering off;
    }}
    location = /predict {{
      proxy_pass http://serin;
      proxy_read_timeout 2s;
      proxy_next_upstream error timeout non_idempotent;
    }}
  }}
}}
"""


class Balancer:
    """Sends each request to the next replica, and a prediction that gets no answer to another one."""

    def __init__(self, keeper: Keeper, folder: Path, ports: list[int]) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/sbin:/bin")
        if program is None:
            raise Failed("nginx is not installed; run scripts/setup.sh")
        folder.mkdir()
        self.log, self.port = folder / "log", free_port()
        servers = "\n    ".join(f"server 127.0.0.1:{port} max_fails=2 fail_timeout=1s;" for port in ports)
        # Without root, nginx warns that it ignores this.
        user = "user root;" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            CONFIGURATION.format(folder=folder, port=self.port, servers=servers, user=user)
        )
        self._keeper = keeper
        process = self._process = keeper.start(
            [program, "-p", folder, "-e", self.log, "-c", folder / "nginx.conf"], self.log, signal.SIGTERM
        )
        end = time.monotonic() + PATIENCE
        while not (folder / "pid").exists():
            if process.poll() is not None or time.monotonic() > end:
                raise Failed(f"nginx does not start: {self.log.read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._keeper.forget(self._process)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"
