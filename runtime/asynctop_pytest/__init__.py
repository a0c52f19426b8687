"""asynctop in tests: pytest's hooks that fail a test which blocks its event loop or leaves tasks behind.

It runs in the monitored program, which the tests are, and reads the runtime's own records there. It is a
package of its own because pytest imports a plugin with every test run: `plugin` needs nothing of ours until a
test is to be watched, and the runtime needs no pytest.
"""
