"""The pure-Python core, for where there is no compiled one."""
