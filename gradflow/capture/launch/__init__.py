"""Running a stranger's program: what it is, the child process it runs in, and what comes back."""
