def test_all_pass(passing):
    ran = passing.run()
    print(ran.text)
    assert ran.verdicts == {"A-1": "pass", "A-2": "pass", "A-3": "not-evaluated"}
    assert ran.result.ret == 0
