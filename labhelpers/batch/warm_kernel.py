"""Stands for a notebook's kernel: it asks the run's warm process to fork the kernel, and passes signals on to it.

`python -I -S warm_kernel.py SOCKET KERNEL-ARGUMENTS…`. It ends, with the same exit status, when the kernel ends. It
imports very little, so that it starts quickly.
"""

import json
import os
import signal
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
order = {"arguments": sys.argv[2:], "environment": dict(os.environ), "folder": os.getcwd()}
socket.send_fds(connection, [json.dumps(order).encode()], [0, 1, 2])
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: connection.send(bytes([number])))
status = connection.recv(1)
os._exit(status[0] if status else 1)
