"""Work stops once nobody waits for it."""

import pytest

from fairmeter.core.caller import CallerGone, check_caller, waiting_caller


def test_work_of_nobody_in_particular_goes_on():
    check_caller()


def test_work_stops_once_its_caller_is_gone():
    is_gone = []
    with waiting_caller(lambda: bool(is_gone)):
        check_caller()
        is_gone.append(True)
        with pytest.raises(CallerGone):
            check_caller()
    check_caller()
