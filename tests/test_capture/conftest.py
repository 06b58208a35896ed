"""Lets the assertions in `programs` explain themselves as those in tests do."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("programs")
