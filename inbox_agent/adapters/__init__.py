"""Where the outside world begins: each module here implements one Protocol of ports.py."""
