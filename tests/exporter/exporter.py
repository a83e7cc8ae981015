#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynmem-exporter itself, with dynmemd on a simulated host, with daemons of other versions, and with none.
TAP on stdout."""

import concurrent.futures
import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
SOURCE = os.environ.get("DYN_SRCDIR", ".")
BUILD = os.environ.get("DYN_BUILDDIR", ".")
sys.path.insert(0, os.path.join(SOURCE, "tests/daemon"))

# pylint: disable=wrong-import-position
from daemon import PATIENCE, WITH_US, Failed, Place, Skipped, expect, expect_in  # noqa: E402

EXPORTER = os.path.join(BUILD, "src/exporter/dynmem-exporter")
FAKE = os.path.join(BUILD, "tests/exporter/fake-daemon")
REPLY = os.path.join(SOURCE, "tests/data/exporter/reply.txt")
MANUAL = os.path.join(SOURCE, "man/dynmem-exporter.8.rst")
LIFE = 10.0  # seconds that a connection lives
MOST = 32    # connections at a time
SCENARIO = "[host]\nTotal=16G\nSpeed=1\n[guest \"web\"]\nCount=3\nBase=1G\nUse=200M\n[guest \"shut\"]\nPolicy=off\nBase=1G\n"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
# names that must never change: the dashboards and alerts of others read them
PROMISED = """balancer_added_bytes_total balancer_available_bytes balancer_average_pressure_ratio
balancer_add_operations_total balancer_remove_operations_total balancer_removed_bytes_total
balancer_available_for_balancing_bytes balancer_system_pressure_ratio domain_added_bytes_total
domain_average_pressure_ratio domain_current_pressure_ratio domain_guest_visible_bytes
domain_maximum_pressure_ratio domain_add_operations_total domain_remove_operations_total
domain_minimum_pressure_ratio domain_physical_bytes domain_removed_bytes_total domain_guest_available_bytes
domain_smart_paging_bytes domain_demand_bytes domain_target_bytes domain_buffer_bytes domain_overhead_bytes
domain_floor_bytes domain_rss_bytes domain_balloon_bytes domain_config_bytes domain_priority domain_status domain_mode
domain_stuck_seconds domain_stats_last_update_timestamp_seconds domain_decisions_total domain_rollbacks_total
domain_info host_total_bytes host_free_bytes host_reserve_bytes host_swap_in_bytes_total host_swap_out_bytes_total
admission_granted_total admission_denied_total smart_paging_activations_total cycle_duration_seconds libvirt_up
paused up build_info""".split()
# not told by every guest, or not on every host
PERHAPS = ["domain_guest_oom_kills_total", "host_memory_pressure_ratio"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Exporter:
    """One that serves, and what a client can do to it."""

    def __init__(self, place, *arguments):
        self.port = free_port()
        self.place = place
        with open(f"{place.path}/log", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([*WITH_US, EXPORTER, "--session", f"--listen=127.0.0.1:{self.port}",
                                             *arguments], stderr=log, env=place.environment())
        place.daemons.append(self.process)
        place.hear("READY=1")

    def ask(self, path="/metrics", method="GET", headers=None, body=None):
        """(status, headers, body)"""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(link):
            link.request(method, path, body=body, headers=headers or {})
            answer = link.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def page(self, **more):
        status, _, text = self.ask(**more)
        expect(status == 200, f"status {status}: {text}")
        return text

    def wait_for(self, part):
        """The first page that holds it."""
        deadline = time.monotonic() + PATIENCE
        while part not in self.page():
            expect(time.monotonic() < deadline, f"never {part!r}, only:\n{self.page()[:2000]}")
            time.sleep(0.05)
        return self.page()

    def raw(self, data, more=b""):
        """All that comes back for @data."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as link:
            try:
                link.sendall(data)
                link.sendall(more)
                return b"".join(iter(lambda: link.recv(65536), b""))
            except ConnectionError:
                return b""

    def sockets(self):
        """How many connections it has, the listening one included."""
        names = []
        for name in os.listdir(f"/proc/{self.process.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                names.append(os.readlink(f"/proc/{self.process.pid}/fd/{name}"))
        return sum(1 for name in names if name.startswith("socket:"))


class Fake:
    """A daemon of another version."""

    def __init__(self, place, what):
        self.process = subprocess.Popen([*WITH_US, FAKE, what], stdout=subprocess.PIPE, text=True,
                                        env=place.environment())
        place.daemons.append(self.process)
        expect(self.process.stdout.readline() == "ready\n", "the fake daemon does not come up")

    def end(self):
        """Kill it; how often it was asked."""
        self.process.kill()
        return self.process.communicate()[0].count("asked")


def names_of(page):
    return {re.match(r"dynmem_(\w+)", line).group(1) for line in page.splitlines() if line[:1] not in "#"}


def check_metrics(page):
    """By Prometheus' own tool."""
    if not shutil.which("promtool"):
        raise Skipped("promtool is not here (Debian: prometheus)")
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    expect(done.returncode == 0 and not done.stdout and not done.stderr, done.stdout + done.stderr)


def bus_again(place):
    place.bus = subprocess.Popen([*WITH_US, "dbus-daemon", f"--config-file={place.path}/bus.conf", "--nofork"],
                                 stderr=subprocess.DEVNULL)


def test_real_daemon(place):
    exporter = Exporter(place)
    expect_in("dynmem_up 0\n", exporter.page())
    place.simulate(SCENARIO, "--session")
    exporter.wait_for("dynmem_domain_stats_last_update_timestamp_seconds{domain=\"web1\"}")
    page = exporter.wait_for("dynmem_domain_current_pressure_ratio{domain=\"web3\"}")
    names = names_of(page)
    for name in PROMISED:
        expect(name in names or name + "_count" in names, f"no {name} in:\n{page[:3000]}")
    expect_in("dynmem_domain_info{domain=\"web1\",uuid=\"", page)
    expect_in("dynmem_domain_status{domain=\"shut\",status=\"unmanaged\"} 1\n", page)
    expect(page.count("uuid=") == 4, "uuid is the label of dynmem_domain_info alone")
    expect_in("dynmem_libvirt_up 1\n", page)
    check_metrics(page)


def test_every_metric_has_its_manual(place):
    page = Exporter(place)
    Fake(place, REPLY)
    page = page.wait_for("dynmem_up 1\n")
    with open(MANUAL, encoding="utf-8") as file:
        manual = file.read()
    names = names_of(page) - {f"cycle_duration_seconds_{part}" for part in ("bucket", "sum", "count")}
    expect(len(names) > 50, str(names))
    for name in sorted(names | set(PERHAPS)):
        expect(not re.search("_(kib|mib|kb|percent|msec|usec|permyriad|pages)(_|$)", name), f"{name}: not a base unit")
        expect(re.search(rf"\bdynmem_{name}\b", manual), f"the manual does not tell of dynmem_{name}")
    for name in re.findall(r"\bdynmem_(\w+_(?:bytes|ratio|total|seconds|info))\b", manual):
        expect(name in names or name == "cycle_duration_seconds", f"there is no dynmem_{name}, but the manual has it")


def test_daemon_comes_and_goes(place):
    exporter = Exporter(place)
    expect_in("dynmem_up 0\n", exporter.page())
    for _ in range(3):
        daemon = place.simulate(SCENARIO, "--session")
        exporter.wait_for("dynmem_up 1\n")
        daemon.kill()
        daemon.wait()
        exporter.wait_for("dynmem_up 0\n")
    expect(place.log().count("dynmemd is not running") == 4, place.log())
    expect(place.log().count("dynmemd answers") == 3, place.log())


def test_bus_comes_and_goes(place):
    place.bus.kill()
    place.bus.wait()
    os.unlink(f"{place.path}/bus")
    exporter = Exporter(place)
    expect_in("dynmem_up 0\n", exporter.page())
    expect_in("the bus cannot be reached", place.log())
    for _ in range(2):
        bus_again(place)
        fake = None
        while fake is None:
            with contextlib.suppress(Failed):  # the bus may not listen yet
                fake = Fake(place, REPLY)
        exporter.wait_for("dynmem_up 1\n")
        place.bus.kill()
        place.bus.wait()
        fake.end()
        exporter.wait_for("dynmem_up 0\n")


def test_formats(place):
    exporter = Exporter(place)
    Fake(place, REPLY)
    exporter.wait_for("dynmem_up 1\n")
    status, headers, text = exporter.ask()
    expect((status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8"), str(headers))
    with open(os.path.join(SOURCE, "tests/data/exporter/page.prom"), encoding="utf-8") as file:
        expect(text == file.read(), "not the page that is expected")
    status, headers, text = exporter.ask(headers={"Accept": OPENMETRICS})
    expect(headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"), str(headers))
    expect(text.endswith("\n# EOF\n") and "dynmem_balancer_added_bytes_total 1000\n" in text, text[-200:])
    status, headers, nothing = exporter.ask(method="HEAD", headers={"Accept": OPENMETRICS})
    expect((status, nothing, int(headers["Content-Length"])) == (200, "", len(text.encode())), str(headers))
    check_metrics(exporter.page())


def test_methods_and_paths(place):
    exporter = Exporter(place)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "BREW"):
        status, headers, _ = exporter.ask(method=method)
        expect((status, headers["Allow"]) == (405, "GET, HEAD"), f"{method}: {status}")
    answer = exporter.raw(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n", b"x" * 65536)
    expect(answer == b"" or b" 405 " in answer, repr(answer[:200]))
    for path in ("/metrics/", "//metrics", "/metrics/../metrics", "/./metrics", "/%6detrics", "/metrics%00", "/etc/passwd",
                 "/..%2f..%2fetc/passwd", "/metrics;x", "/METRICS", "/" + "a" * 8000):
        expect(exporter.ask(path)[0] == 404, f"{path}: {exporter.ask(path)[0]}")
    for path in ("/metrics?", "/metrics?name[]=up", "/metrics?" + "a=b&" * 100):
        expect(exporter.ask(path)[0] == 200, path)
    expect_in("/metrics", exporter.ask("/nothing")[2])
    expect_in("href=\"metrics\"", exporter.ask("/")[2])


def test_huge_and_odd_requests(place):
    exporter = Exporter(place)
    huge = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Huge: " + b"x" * 200000 + b"\r\n\r\n"
    many = b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 50000 + b"\r\n"
    long = b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    for request in (huge, many, long, b"\x00" * 100000, b"\xff\xfe GET\r\n\r\n", b"GET\r\n\r\n", b"\r\n" * 50000,
                    b"GET /metrics HTTP/9.9\r\n\r\n", b"GET /metrics HTTP/1.1\r\n\r\n"):
        answer = exporter.raw(request)
        expect(not answer or re.match(rb"HTTP/1\.[01] [45]\d\d ", answer), f"{request[:40]!r}: {answer[:200]!r}")
        expect_in("dynmem_up 0\n", exporter.page())
    status = open(f"/proc/{exporter.process.pid}/status", encoding="ascii").read()
    expect(int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) < 64 * 1024, status)


def test_slow_clients(place):
    """Who drips, who does not read, who says nothing: all are gone when their time is over."""
    exporter = Exporter(place)
    others = exporter.sockets() + 1  # that to the bus, which it makes when it is asked first
    expect_in("dynmem_up 0\n", exporter.page())
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(socket.create_connection(("127.0.0.1", exporter.port))) for _ in range(9)]
        began = time.monotonic()
        for link in links[3:6]:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            link.sendall(b"GET /metrics HTTP/1.1\r\n")
        for link in links[6:]:
            link.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ")
        while exporter.sockets() < others + len(links):
            expect(time.monotonic() < began + PATIENCE, "they do not get in")
        while exporter.sockets() > others:
            expect(time.monotonic() < began + LIFE + PATIENCE, "they are still there")
            for link in links[6:]:
                with contextlib.suppress(ConnectionError):
                    link.send(b"x")
            expect_in("dynmem_up 0\n", exporter.page())
            time.sleep(0.5)
        expect(time.monotonic() - began > LIFE - 1, "they went too early")


def test_ten_thousand_connections(place):
    exporter = Exporter(place)
    fake = Fake(place, REPLY)
    exporter.wait_for("dynmem_up 1\n")
    held = []
    began = time.monotonic()
    for number in range(10000):
        held.append(socket.create_connection(("127.0.0.1", exporter.port), timeout=PATIENCE))
        if number % 2:
            with contextlib.suppress(ConnectionError):
                held[-1].sendall(b"GET /metrics HTTP/1.1\r\n")
        if len(held) > 500:
            held.pop(0).close()
        if number % 1000 == 999:
            expect_in("dynmem_up 1\n", exporter.page())
            expect(exporter.sockets() < MOST + 16, f"{exporter.sockets()} sockets")
    seconds = time.monotonic() - began
    for link in held:
        link.close()
    expect_in("dynmem_up 1\n", exporter.page())
    asked = fake.end()
    expect(asked < 40 + seconds * 2, f"the daemon was asked {asked} times in {seconds:.0f} s")


def test_many_ask_at_once(place):
    exporter = Exporter(place)
    fake = Fake(place, REPLY)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        began = time.monotonic()
        pages = list(pool.map(lambda _: exporter.page(), range(200)))
        seconds = time.monotonic() - began
    expect(all("dynmem_up 1\n" in page for page in pages), "a page without numbers")
    asked = fake.end()
    expect(1 <= asked <= 2 + seconds * 2, f"asked {asked} times in {seconds:.1f} s")


def test_old_daemon(place):
    exporter = Exporter(place)
    Fake(place, "old")
    expect_in("dynmem_up 0\n", exporter.page())
    expect_in("dynmemd is older than this exporter", place.log())


def test_daemon_of_another_type(place):
    exporter = Exporter(place)
    Fake(place, place.write("reply", "({'Total': <uint64 1>}, [{'Name': <'a'>}])"))
    expect_in("dynmem_up 0\n", exporter.page())
    expect_in("(a{sv}aa{sv})", place.log())
    place.write("reply", "({'Total': <uint64 1>, 'New': <[{1: 'x'}]>}, [('Name', ['a'])], [('New', [uint64 1])], @a(sad) [])")
    page = exporter.wait_for("dynmem_up 1\n")
    expect_in("dynmem_host_total_bytes 1\n", page)
    check_metrics(page)


def test_daemon_that_hangs(place):
    exporter = Exporter(place)
    Fake(place, "silent")
    began = time.monotonic()
    expect_in("dynmem_up 0\n", exporter.page())
    expect(3.5 < time.monotonic() - began < 9, "it waited too long, or not at all")
    expect_in("dynmemd does not answer", place.log())


def test_thousand_guests(place):
    n = 1000
    names = ",".join(f"'guest \"{i}\"'" for i in range(n))
    columns = ["Assigned", "Demand", "Target", "Added", "Minimum", "Maximum", "Startup",
               *(f"Decisions.reason-{i}" for i in range(11))]
    numbers = ",".join(f"('{key}', [uint64 {','.join(str(i) for i in range(n))}])" for key in columns)
    states = ",".join("'ok'" for _ in range(n))
    exporter = Exporter(place)
    Fake(place, place.write("reply", f"({{'Guests': <uint32 {n}>}}, [('Name', [{names}]), ('Status', [{states}])], "
                                     f"[{numbers}], @a(sad) [])"))
    page = exporter.wait_for("dynmem_up 1\n")
    expect(page.count("\ndynmem_domain_decisions_total{") == 11 * n, "decisions are missing")
    expect_in('dynmem_domain_demand_bytes{domain="guest \\"999\\""} 999\n', page)
    check_metrics(page)


def test_thousand_guests_of_the_daemon(place):
    """Of dynmemd itself: the answer passes the bus, and the page is whole."""
    n = 1000
    exporter = Exporter(place)
    place.simulate(f"[host]\nTotal=4000G\nSpeed=1\n[guest \"guest\"]\nCount={n}\nModel=ideal\nBase=2G\nUse=400M\n",
                   "--session")
    deadline = time.monotonic() + 3 * PATIENCE
    page = ""
    while page.count("\ndynmem_domain_current_pressure_ratio{") < n:
        expect(time.monotonic() < deadline, f"never all of them:\n{page[:2000]}")
        time.sleep(0.5)
        page = exporter.page()
    expect(page.count("\ndynmem_domain_info{") == n, "not each has its UUID")
    expect_in(f"dynmem_managed_guests {n}\n", page)
    status = open(f"/proc/{exporter.process.pid}/status", encoding="ascii").read()
    expect(int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) < 128 * 1024, status)  # half of MemoryMax=
    check_metrics(page)


def test_no_libvirt(place):
    exporter = Exporter(place)
    exporter.page()
    with open(f"/proc/{exporter.process.pid}/maps", encoding="utf-8") as file:
        maps = file.read()
    expect("libmicrohttpd" in maps and "libvirt" not in maps, "libvirt is in it")


def main(names):
    """Run what @names has of tests, or those of the command line."""
    tests = [(name, test) for name, test in names.items()
             if name.startswith("test_") and (len(sys.argv) < 2 or name[5:] in sys.argv[1:])]
    print(f"1..{len(tests)}")
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        title = name[5:].replace("_", " ")
        with contextlib.closing(Place()) as place:
            try:
                test(place)
                print(f"ok {number} - {title}", flush=True)
            except Skipped as reason:
                print(f"ok {number} - {title} # SKIP {reason}", flush=True)
            except (Failed, OSError, http.client.HTTPException, subprocess.SubprocessError) as problem:
                failed += 1
                print(f"not ok {number} - {title}")
                print("\n".join("# " + line for line in f"{problem!r}\n{place.log()}".splitlines()), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(globals()))
