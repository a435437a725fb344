"""The HTTP/1.1 server: sockets, connections, their limits, TLS, and from bytes to an ASGI application.

Decides what reaches an application and how long a sender may take. It must not know what a request means: no
event, key or topic. Invariant: an application sees whole requests only, each within the limits.
"""
