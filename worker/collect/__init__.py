"""The HTTPS API: what becomes of a request, and the browser snippet that makes requests."""
