"""One module for each file format: octets to `Content`, or why there is none.

None of them looks at the file's name, opens a connection, writes a file or follows a link. They run in a child
process that may die of them: limits here are for what would make a document useless, the child's limits are for
what would make it dangerous.
"""
