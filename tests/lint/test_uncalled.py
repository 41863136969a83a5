"""Every function that a header declares is called by the programs or tools, not by its own tests alone. Read from the
text: clang-format begins declarations and definitions in the first column, and uses after it."""
import re

import source
import test_names as names

# What tests look through at the inside, and what they judge results with.
WITNESSES = set("""
edge_cache_entry_used edge_ghost_bytes edge_ghost_clear edge_ghost_count edge_policy_ghost_has edge_policy_size_max
edge_step_name edge_step_successors edge_step_what edge_store_budget_set edge_store_file_reopen
http_cache_directive_text http_is_field_value wan_formula_rounds wan_formula_window
""".split())
# Parts of a library for one format: the writer's or reader's other half, and the form for one where many are used.
HALVES = set("""
cdn_config_map_get cdn_parse_i64 daemon_path_rest edge_cause_find edge_freshness_useless_ms edge_head_lines
gate_is_relative geo_field_text geo_rtt_row http_simple_field http_structured_is_key
http_structured_item http_structured_valid_dictionary http_unquote mmdb_put_double
""".split())
# A room that is being built: whoever calls it takes it off.
BUILDING = ()
STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')
USE = re.compile(r"^(?:[ \t}].*|#[ \t]*define.*)", re.M)
WORD = re.compile(r"\w+")


def uses(text):
    """The words of the text that may be uses of a function."""
    text = STRING.sub('""', names.COMMENT.sub("", text))
    return {word for line in USE.findall(text) for word in WORD.findall(line)}


def programs():
    return [path for path in source.c_files() if not source.show(path).startswith("tests/")]


def test_what_is_a_use():
    text = ('int declared(int a);\nint defined(int a)\n{\n    called(a); /* commented */\n    log("spoken");\n'
            "} // aside\n#define M after_define()\nstruct x *at_the_start(void)\n")
    assert {"called", "after_define"} <= uses(text)
    assert not uses(text) & {"declared", "defined", "commented", "spoken", "aside", "at_the_start"}


def test_every_declared_function_is_called():
    used = set().union(*(uses(path.read_text()) for path in programs()))
    declared = {name: source.show(path) for path in programs()
                if path.suffix == ".h" and not source.show(path).startswith(BUILDING) for name in names.functions(path)}
    assert len(declared) > 1000, "declarations are not read"
    uncalled = set(declared) - used
    wrong = uncalled - WITNESSES - HALVES
    assert not wrong, "nothing but tests calls these:\n" + "\n".join(f"{declared[name]}: {name}" for name in sorted(wrong))
    listed = (WITNESSES | HALVES) - uncalled
    assert not listed, f"these are called or gone; take them off the lists: {sorted(listed)}"
