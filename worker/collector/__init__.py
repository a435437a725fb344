"""The process of the HTTPS API: ``sessionizer collect`` from its start to its exit code.

What becomes of one request is decided in ``worker.collect``; here its parts are put together, served,
observed and stopped. ``worker.asgi`` serves the same parts in another server.
"""
