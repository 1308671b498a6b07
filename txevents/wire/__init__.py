"""From bytes to `Envelope` and back. Pure functions: nothing here does I/O or knows a reactor."""
