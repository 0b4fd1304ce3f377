"""The queues: their names, and sending a task by its name. A message is a wake-up, never the truth.

Celery and the Redis transport are imported with the first message, so that commands that send none do not pay.
"""

from collections.abc import Callable
from typing import Any

from erfnet_jobs.broker_url import SOCKET, TLS, check_broker_url, shown_url, tls_options, without_tls_options
from erfnet_jobs.errors import BrokerUnreachable
from erfnet_jobs.states import JobKind

PREFIX = "erfnet-jobs"
PLACE_TASK = "erfnet_jobs.place"
START_TASK = "erfnet_jobs.start"
CANCEL_TASK = "erfnet_jobs.cancel"
# Messages of another version only wake: what they hold is not read.
MESSAGE_VERSION = 1

# A dead link must not hold a shell for long; the Redis transport's own default is to wait for ever.
TIMEOUT_SECONDS = 3.0
# Nobody needs an old wake-up: workers look by themselves. Those for hosts that never come back must not be run in bulk.
EXPIRES_SECONDS = 600


def kind_queue(kind: JobKind) -> str:
    """The queue of a kind of job, which every worker reads."""
    return f"{PREFIX}.{kind}"


def host_queue(host: str) -> str:
    """The queue of one host, which only its worker reads."""
    return f"{PREFIX}.host.{host}"


def celery_settings(url: str) -> dict[str, Any]:
    """What sender and worker must agree on: JSON only, no results, bounded waits on the socket."""
    return {
        "broker_url": without_tls_options(url),
        "broker_use_ssl": tls_options(url) or False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_backend": None,
        "task_ignore_result": True,
        "task_publish_retry": False,
        "worker_send_task_events": False,
        "broker_transport_options": {
            "socket_timeout": TIMEOUT_SECONDS,
            "socket_connect_timeout": TIMEOUT_SECONDS,
            "socket_keepalive": True,
        },
    }


class Broker:
    """Sends to the queues of one Redis; one connection, opened with the first message.

    Every method raises BrokerUnreachable when Redis does not answer within seconds; a URL that is no Redis' is a
    UsageError.
    """

    def __init__(self, url: str) -> None:
        check_broker_url(url)
        self.url = url
        self._app: Any = None
        self._producer: Any = None

    def send(self, task: str, args: tuple[Any, ...], queue: str) -> None:
        """Put a message for `task` into `queue`, and nothing else: no retry, no result."""
        from kombu.exceptions import OperationalError
        from redis.exceptions import RedisError

        try:
            if self._producer is None:
                self._producer = self._open()
            # By the queue alone: it goes straight into the queue's list. With an exchange it would need bindings, which
            # a Redis that came back empty has lost, and the message would vanish without an error.
            self._app.send_task(
                task,
                args=args,
                kwargs={"version": MESSAGE_VERSION},
                queue=queue,
                producer=self._producer,
                ignore_result=True,
                expires=EXPIRES_SECONDS,
            )
        except (OperationalError, RedisError, OSError) as error:
            self.close()
            raise self._unreachable(error) from error

    def ping(self) -> None:
        """Ask Redis whether it is there."""
        self._ask(lambda client: client.ping())

    def about(self) -> dict[str, Any]:
        """What Redis tells of itself (INFO); nothing where this user may not ask."""
        from redis.exceptions import ResponseError

        try:
            return dict(self._ask(lambda client: client.info()))
        except BrokerUnreachable as error:
            if isinstance(error.__cause__, ResponseError):
                return {}
            raise

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        from kombu.exceptions import OperationalError
        from redis.exceptions import RedisError

        try:
            if self._producer is None:
                self._producer = self._open()
            return question(self._producer.channel.client)
        except (OperationalError, RedisError, OSError) as error:
            self.close()
            raise self._unreachable(error) from error

    def wake_place(self, job: int, kind: JobKind) -> None:
        """Tell some worker that a job waits for devices."""
        self.send(PLACE_TASK, (job,), kind_queue(kind))

    def wake_start(self, job: int, attempt: int, host: str) -> None:
        """Tell a host's worker that it has a part to start."""
        self.send(START_TASK, (job, attempt), host_queue(host))

    def wake_cancel(self, job: int, attempt: int, host: str) -> None:
        """Tell a host's worker that its part of an attempt is to be cancelled."""
        self.send(CANCEL_TASK, (job, attempt), host_queue(host))

    def close(self) -> None:
        """Close the connection; the next message opens another."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            producer.connection.close()

    def _open(self) -> Any:
        from celery import Celery

        if self._app is None:
            self._app = Celery(PREFIX, set_as_current=False)
            self._app.conf.update(celery_settings(self.url))
            # A user waits: the first refusal is told at once. Workers go on trying for ever.
            self._app.conf.broker_transport_options["max_retries"] = 0
        return self._app.amqp.Producer(self._app.connection_for_write())

    def _unreachable(self, error: Exception) -> BrokerUnreachable:
        said = (str(error) or type(error).__name__).splitlines()[0]
        return BrokerUnreachable(
            f"the broker {shown_url(self.url)} does not answer ({said}): {_remedy(self.url, said)}"
        )


def _remedy(url: str, said: str) -> str:
    """What to do about what Redis, or Python's ssl, said."""
    variable = "ERFNET_JOBS_BROKER_URL"
    if url.startswith(f"{SOCKET}:"):
        return "run 'erfnet-jobs up'"
    if any(word in said for word in ("WRONGPASS", "invalid password", "invalid username", "without any password")):
        return f"correct the password (and the user, if Redis has users) in {variable}"
    if "NOAUTH" in said or "Authentication required" in said:
        return f"it wants a password: give redis://:PASSWORD@HOST in {variable}"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return (
            f"ssl_ca_certs in {variable} must name the authority that signed Redis' certificate, and the certificate "
            "must hold the host's name as the URL has it"
        )
    if "SSL" in said and url.startswith(f"{TLS}:"):
        return f"if Redis speaks no TLS there, {variable} must begin with redis://; else see its log"
    if "closed by server" in said or "while reading" in said:
        return f"if Redis speaks TLS there, {variable} must begin with rediss://; else see its log"
    return f"is Redis up, and is {variable} right?"
