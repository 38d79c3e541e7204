"""The function. It stays in memory: what is made outside `handle` is made once for each worker."""


def handle(request):
    """Answers one request; see worker.py for what it may return."""
    return "Hello! You said: " + request.text
