"""A shop whose work is done by Celery's own workers: `tasks.py BROKER worker NAME` and `tasks.py BROKER send TASK …`."""

import os
import signal
import sys
import time

from celery import Celery
from celery.signals import worker_ready

broker = sys.argv[1]
app = Celery("shop", broker=broker)
app.conf.update(
    worker_send_task_events=True,
    task_send_sent_event=True,
    # After so many seconds, Redis gives what a worker has taken to another one.
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 2} if broker.startswith("redis") else {},
)


@app.task
def fine(order):
    return order


@app.task
def refused(order):
    raise ValueError(f"card of {order} was refused")


@app.task(bind=True, max_retries=3)
def slow(self, order):
    if self.request.retries < 2:
        raise self.retry(countdown=0.2, exc=TimeoutError("the bank is slow"))
    return order


@app.task(bind=True, max_retries=1)
def hopeless(self, order):
    raise self.retry(countdown=0.2, exc=TimeoutError("the bank is gone"))


def die():
    """The worker and the process that works for it, as if the machine were gone."""
    time.sleep(0.7)
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def lost(order):
    die()


@app.task(bind=True)
def wavering(self, order):
    if self.request.retries == 0:
        raise self.retry(countdown=0.2, exc=TimeoutError("the bank is slow"))
    die()


@app.task(bind=True, acks_late=True)
def saved(self, order):
    if not self.request.delivery_info.get("redelivered"):
        die()
    return order


@app.task
def crashed(order):
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def expired(order):
    raise AssertionError("it is too late")


@worker_ready.connect
def say(**_):
    print("ready", flush=True)


if sys.argv[2] == "worker":
    options = ["worker", "--hostname", f"{sys.argv[3]}@shop", "--concurrency", "1", "--loglevel", "warning"]
    app.worker_main(options + ["--without-gossip", "--without-mingle"])
else:
    for name in sys.argv[3:]:
        options = {"expires": 0.001} if name == "expired" else {}
        print(name, app.tasks[f"shop.{name}"].apply_async([f"o-{name}"], **options).id, flush=True)
