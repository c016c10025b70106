"""How fast things are beside what people use today, and beside what the machine allows; `make bench-speed` runs it."""
