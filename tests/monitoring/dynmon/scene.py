# SPDX-License-Identifier: LGPL-2.1-or-later
"""Simulated hosts, each a dynmemd on a bus of its own with an exporter, and a Prometheus that scrapes
them. Everything listens on localhost, on ports that were free, and dies with this program."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from . import RULES, TOP

PATIENCE = 60.0
WITH_US = ("setpriv", "--pdeathsig", "KILL")
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={0}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/></policy></busconfig>"""
# JSON is YAML. A second between scrapes, so that rates are there soon.
PROMETHEUS = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}}


class Late(AssertionError):
    """What was waited for did not come in time."""


def wait_for(what, condition, timeout_sec=PATIENCE):
    """Poll until `condition()` is true; its value."""
    deadline = time.monotonic() + timeout_sec
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Late(f"not within {timeout_sec:.0f} s: {what}")
        time.sleep(0.1)


def free_port():
    """A port of localhost that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Programs:
    """Programs with a log each, in one directory."""

    def __init__(self, path):
        self.path = path
        self._running = {}

    def start(self, name, command, **environment):
        """Start `command`; what it says goes to NAME.log."""
        with open(f"{self.path}/{name}.log", "ab") as log:
            self._running[name] = subprocess.Popen([*WITH_US, *map(str, command)], stdin=subprocess.DEVNULL, stdout=log,
                                                   stderr=log, env=dict(os.environ, LC_ALL="C.UTF-8", **environment))

    def log(self, name):
        """All it said."""
        with open(f"{self.path}/{name}.log", encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_line(self, name, pattern):
        """The first match of `pattern` in what it says; fails if it ends before."""
        def look():
            match = re.search(pattern, self.log(name))
            if not match and self._running[name].poll() is not None:
                raise AssertionError(f"{name} ended with status {self._running[name].returncode}:\n{self.log(name)}")
            return match
        return wait_for(f"{name} says {pattern!r}", look)

    def stop(self, name, number=signal.SIGTERM):
        """Its exit status."""
        program = self._running.pop(name)
        program.send_signal(number)
        try:
            return program.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
            raise

    def logs(self):
        """The end of all logs."""
        return "\n".join(f"--- {name}\n" + "\n".join(self.log(name).splitlines()[-15:]) for name in self._running)

    def close(self):
        """End all, in whatever state."""
        for program in self._running.values():
            program.kill()
            program.wait()


class Host:
    """A simulated host: bus, daemon and exporter."""

    def __init__(self, name, programs, build):
        self.name = name
        self._programs = programs
        self._build = build
        self._path = f"{programs.path}/{name}"
        self.port = free_port()

    def _environment(self):
        return {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={self._path}/bus", "TMPDIR": self._path}

    @property
    def instance(self):
        """Its `instance` label."""
        return f"127.0.0.1:{self.port}"

    def open(self):
        """Start all three."""
        os.mkdir(self._path)
        with open(f"{self._path}/bus.conf", "w", encoding="utf-8") as file:
            file.write(BUS_CONFIG.format(self._path))
        self._programs.start(f"bus-{self.name}", ["dbus-daemon", f"--config-file={self._path}/bus.conf", "--nofork"])
        wait_for("the bus is there", lambda: os.path.exists(f"{self._path}/bus"))
        self.start_daemon()
        self._programs.start(f"exporter-{self.name}", [self._build / "src/exporter/dynmem-exporter", "--session",
                                                       f"--listen={self.instance}"], **self._environment())

    def start_daemon(self):
        """dynmemd, on the scenario of this host's name."""
        scenario = TOP / "tests" / "monitoring" / f"{self.name}.sim"
        self._programs.start(f"dynmemd-{self.name}", [self._build / "src/daemon/dynmemd", "--session", "--backend",
                                                      f"sim:{scenario}"], **self._environment())

    def stop_daemon(self):
        """Stop dynmemd; its exit status."""
        return self._programs.stop(f"dynmemd-{self.name}")

    def command(self, *arguments):
        """Run dynmem against this host's daemon."""
        subprocess.run([self._build / "src/cli/dynmem", "--session", *arguments], check=True, capture_output=True,
                       timeout=PATIENCE, env=dict(os.environ, **self._environment()))


class Scene:
    """Two hosts, one that balances and one that observes, and a Prometheus."""

    def __init__(self, build):
        self._path = tempfile.mkdtemp(prefix="dynmem-monitoring-")
        self._programs = Programs(self._path)
        self.hosts = [Host(name, self._programs, build) for name in ("host", "observed")]
        self._url = None

    def open(self):
        """Start everything; returns when both hosts are scraped."""
        for host in self.hosts:
            host.open()
        targets = [host.instance for host in self.hosts]
        config = dict(PROMETHEUS, rule_files=[str(RULES)], scrape_configs=[
            {"job_name": "dynmem", "static_configs": [{"targets": targets}]}])
        with open(f"{self._path}/prometheus.yml", "w", encoding="utf-8") as file:
            json.dump(config, file)
        self._programs.start("prometheus", ["prometheus", f"--config.file={self._path}/prometheus.yml",
                                            f"--storage.tsdb.path={self._path}/data", "--web.listen-address=127.0.0.1:0"])
        port = self._programs.wait_line("prometheus", r'msg="Listening on" address=127\.0\.0\.1:(\d+)')[1]
        self._url = f"http://127.0.0.1:{port}/api/v1"
        self._programs.wait_line("prometheus", "Server is ready")
        wait_for("both hosts are scraped", lambda: len(self.query("dynmem_up == 1")) == 2)

    def get(self, path, **parameters):
        """What Prometheus answers; an error it tells fails."""
        url = f"{self._url}/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from None

    def query(self, expr):
        """The samples of an instant query."""
        return self.get("query", query=expr)["result"]

    def logs(self):
        """The end of what all programs said."""
        return self._programs.logs()

    def close(self):
        """Take everything away."""
        self._programs.close()
        shutil.rmtree(self._path)
