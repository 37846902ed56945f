"""The asynchronous side of the service: connections, bodies and answers on an event loop, work in few threads."""
