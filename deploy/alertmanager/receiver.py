"""Prints what Alertmanager sends, for as long as there is no pager: `docker compose logs -f receiver` shows it.

A pager, a chat and a tracker of tickets take webhooks like this. Put yours into alertmanager.yml and remove this container.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer()

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        # A message is some kilobytes; what is longer is none.
        body = self.rfile.read(min(length, 1 << 20))
        self.answer()
        try:
            alerts = json.loads(body)["alerts"]
            for alert in alerts:
                labels, texts = alert["labels"], alert["annotations"]
                where = " ".join(labels[key] for key in ("environment", "mode", "instance") if key in labels)
                print(f"{self.path.strip('/')}: {alert['status']} {labels['alertname']} {where}: {texts.get('summary', '')}", flush=True)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"{self.path.strip('/')}: not a message of Alertmanager ({error!r})", flush=True)

    def answer(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """The requests themselves are of no interest."""


server = ThreadingHTTPServer((os.environ.get("RECEIVER_HOST", "0.0.0.0"), int(os.environ.get("RECEIVER_PORT", "9095"))), Receiver)
print(
    f"Alerts are delivered to this log and to nobody else (port {server.server_port}). "
    "Put your pager, chat and tickets into deploy/alertmanager/alertmanager.yml.",
    flush=True,
)
server.serve_forever()
