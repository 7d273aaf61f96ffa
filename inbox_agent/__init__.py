"""inbox_agent: reads a mailbox, recognises job applications, files and acknowledges them."""
