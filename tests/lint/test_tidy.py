"""clang compiles every file without a warning, and clang-tidy (.clang-tidy says which checks) has nothing to say."""
import analysis


def test_clang_and_clang_tidy_are_content():
    wrong = analysis.tidy()
    assert not wrong, "\n".join(wrong)
