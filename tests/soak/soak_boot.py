"""Every machine of the matrix."""
# SPDX-License-Identifier: MIT
import matrix
import metal

MINUTES = 25


def _test(case):
    @metal.limit(300)
    def test():
        matrix.check(case)
    return test


for _case in matrix.LONG:
    globals()["test_" + _case.name] = _test(_case)
