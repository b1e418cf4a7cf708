"""A real Apache Kafka broker for tests: one that is named, a container, or its jars on Java 17."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
JARS = HERE.parents[1] / "build" / "kafka" / "lib"
IMAGE = "apache/kafka:4.1.0"
CLUSTER = "cHEtdGVzdC1jbHVzdGVyLQ"
READY = 60.0

_LOG4J = """
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c: %m%n
"""


class NoBrokerError(Exception):
    """No broker can be had here; the message says why."""


class JarBroker:
    """One broker in KRaft mode on loopback, from jars; it can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._controller = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Formats the folder where it is new, starts the broker and waits until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config, data = self.folder / "server.properties", self.folder / "data"
        config.write_text(self._properties(data))
        (self.folder / "log4j2.properties").write_text(_LOG4J)
        if not data.exists():
            format_command = self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER)
            done = subprocess.run(
                [*format_command, "-c", str(config)], capture_output=True, check=False
            )
            if done.returncode:
                raise NoBrokerError(done.stderr.decode()[-2000:])
        with (self.folder / "broker.log").open("ab") as output:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(config)), stdout=output, stderr=output
            )
        self._wait()

    def kill(self) -> None:
        """SIGKILL, as when the machine dies."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ends it for good; nobody needs its data."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def pause(self) -> None:
        """Has it stand still, as a broker in a long collection does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The inverse of `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _wait(self) -> None:
        assert self._process is not None
        ends = time.monotonic() + READY
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                break
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1),
            ):
                return
            time.sleep(0.05)  # a child process: there is nothing to wait on but its port
        raise NoBrokerError((self.folder / "broker.log").read_text()[-2000:])

    def _java(self, main: str, *arguments: str) -> list[str]:
        return [
            *(_java(), "-Xmx384m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}",
            *("-cp", f"{JARS}/*", main, *arguments),
        ]

    def _properties(self, data: Path) -> str:
        return "\n".join(
            [
                "process.roles=broker,controller",
                "node.id=1",
                f"controller.quorum.voters=1@127.0.0.1:{self._controller}",
                f"listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self._controller}",
                f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}",
                "controller.listener.names=CONTROLLER",
                f"log.dirs={data}",
                "auto.create.topics.enable=false",
                "offsets.topic.replication.factor=1",
                "offsets.topic.num.partitions=4",
                "transaction.state.log.replication.factor=1",
                "transaction.state.log.min.isr=1",
                "transaction.state.log.num.partitions=4",
                "group.initial.rebalance.delay.ms=0",
                "group.min.session.timeout.ms=500",
                # Segment indexes are made this large beforehand; tests have many small partitions.
                "log.index.size.max.bytes=65536",
                "num.network.threads=2",
                "num.io.threads=4",
                "background.threads=2",
                "log.cleaner.enable=false",
            ]
        )


def fetch_jars() -> Path:
    """The broker's jars, by Maven as tests/kafka/pom.xml says, unless they are here already."""
    pom = HERE / "pom.xml"
    mark = JARS / ".complete"
    if mark.exists() and mark.read_text() == pom.read_text():
        return JARS
    _java()
    maven = shutil.which("mvn")
    if maven is None:
        raise NoBrokerError("no Maven (mvn) to fetch the broker's jars")
    shutil.rmtree(JARS, ignore_errors=True)
    command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
    done = subprocess.run(
        [*command, "-DincludeScope=runtime", f"-DoutputDirectory={JARS}"],
        capture_output=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise NoBrokerError(f"Maven cannot fetch the broker: {done.stdout.decode()[-500:]}")
    mark.write_text(pom.read_text())
    return JARS


@contextlib.contextmanager
def any_broker(folder: Path) -> Iterator[str]:
    """The address of some broker. Raises NoBrokerError, which says what was tried.

    The one that is named must be there: tests on another would not be what was asked for.
    """
    named = os.environ.get("PQ_TEST_KAFKA")
    if named:
        if not _answers(named):
            raise NoBrokerError(f"PQ_TEST_KAFKA: nothing answers at {named}")
        yield named
        return
    with contextlib.ExitStack() as stack:
        why = ""
        if _engine_answers():
            try:
                address = stack.enter_context(_container())
            except NoBrokerError as error:
                why = f"{error}; "
            else:
                yield address
                return
        try:
            broker = stack.enter_context(jar_broker(folder))
        except NoBrokerError as error:
            raise NoBrokerError(f"{why}{error}") from None
        yield broker.address


@contextlib.contextmanager
def _container() -> Iterator[str]:
    from docker.errors import DockerException
    from testcontainers.community.kafka import KafkaContainer

    container = None
    try:
        container = KafkaContainer(IMAGE).with_kraft()
        container.start()
    except (DockerException, OSError, TimeoutError) as error:
        if container is not None:
            with contextlib.suppress(Exception):  # half of it may be there, or nothing
                container.stop()
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NoBrokerError(f"a container engine is there, but not {IMAGE}: {said}") from error
    try:
        yield container.get_bootstrap_server()
    finally:
        container.stop()


@contextlib.contextmanager
def jar_broker(folder: Path) -> Iterator[JarBroker]:
    """A broker of our own, which may be killed. Raises NoBrokerError."""
    fetch_jars()
    broker = JarBroker(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        raise NoBrokerError("no Java 17 (java), no container engine, and PQ_TEST_KAFKA is not set")
    said = subprocess.run([java, "-version"], capture_output=True, check=False).stderr.decode()
    major = said.partition('version "')[2].partition(".")[0]
    if not major.isdigit() or int(major) < 17:
        raise NoBrokerError(f"the broker needs Java 17 or later; {java} is {major or 'unknown'}")
    return java


def _engine_answers() -> bool:
    """Whether a container engine is there; asking costs one connection to its socket."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address.removeprefix("unix://"))
        except OSError:
            return False
    return True


def _answers(address: str) -> bool:
    """Whether something listens at the first of "host:port,…"."""
    host, _, port = address.partition(",")[0].rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
            return True
    except (OSError, ValueError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
