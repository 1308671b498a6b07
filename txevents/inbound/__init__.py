"""Bytes in: the HTTP and TCP sources, and the acceptance path that they share."""
