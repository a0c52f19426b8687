"""Hooks: they tell a recorder core of what event loops do. They translate; they decide nothing."""
