"""Started as a notebook's kernel, asks the run's warm process for one instead, and stands for it: its signals go there,
its end is that one's end. `python -I -S warm_kernel.py SOCKET KERNEL-ARGUMENTS…`; imports next to nothing, to be quick.
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
