//! What is wrong is said with its place and its remedy, all of it at once.

use super::{brief, compile_files, with_checks};

#[track_caller]
fn refuses(text: &str, expect: &[&str]) {
    let (plan, found) = compile_files(&[("flow.yaml", text)]);
    let errors: Vec<_> = found.into_iter().filter(|d| d.severity == super::Severity::Error).collect();
    assert_eq!(brief(&errors), expect);
    assert_eq!(plan.is_none(), !expect.is_empty());
}

#[track_caller]
fn refuses_check(check: &str, expect: &[&str]) {
    let (_, found) = compile_files(&[("flow.yaml", &with_checks(&format!("  c: {check}\n")))]);
    let errors: Vec<_> = found.into_iter().filter(|d| d.severity == super::Severity::Error).collect();
    // The marked text says where on the line.
    let brief: Vec<_> =
        brief(&errors).iter().map(|line| line.trim_start_matches(|c| c != ' ').trim().to_owned()).collect();
    assert_eq!(brief, expect);
}

#[test]
fn a_diagnostic_as_people_see_it() {
    let (_, found) =
        compile_files(&[("flows/order.yaml", &with_checks("  c: {after: placed, expect: payd, within: 5m}\n"))]);
    assert_eq!(
        found[0].to_string(),
        "\
error[unknown-step]: there is no step `payd`
 --> flows/order.yaml:8:30
  |
8 |   c: {after: placed, expect: payd, within: 5m}
  |                              ^^^^
  = help: did you mean `paid`?
"
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    refuses(
        "\
flow: order
key: oder
beginnt: x
steps:
  placed: {from: erpp, key: {order: body.order}, wen: a}
  paid: {from: erp.pay, key: {order: status}, keep: {time: body.t, a b: body.x}, lateness: 5s}
  late: {from: untimed, key: {order: each.id}, each: size(body), time:}
checks:
  a: {after: placed, expect: paid}
  b: {order: [placed, pais], tolerance: 1}
",
        &[
            "2:6 unknown-key `oder`: no step has the flow's key `oder`; did you mean `order`?",
            "3:1 unknown-field `beginnt`: a flow has no field `beginnt`; did you mean `begins`?",
            "5:18 unknown-source `erpp`: there is no source `erpp`; did you mean `erp`?",
            "5:50 unknown-field `wen`: the step `placed` has no field `wen`; did you mean `when`?",
            "6:38 unknown-path `status`: `status` is nothing that a record has; a path begins with one of: body, row, op, \
             headers, key, meta; did you mean `body.status`? a text is written `\"'status'\"`",
            "6:54 reserved-name `time`: `time` cannot be the name of a kept field: `step.time` is the event time; call it \
             something else, or leave it out where the event time is meant",
            "6:68 bad-name `a b`: `a b` cannot be the name of a kept field; names are made of letters, digits, `_` and `-`",
            "6:92 lateness-without-time `5s`: a step has a lateness only with a `time` of its own; give the step its `time`, \
             or set the lateness of the source",
            "7:54 bad-path `size(body)`: `each` should be a path, and this is not one; write it like `body.items`",
            "7:66 empty-value `time`: `time` is present but empty; give it a value, or remove it",
            "9:6 missing-field `{after: placed, expect: paid}`: the check `a` needs `within`; say by when: `within: 5m`, \
             `due: \"0 3 * * *\"` or `within: end`",
            "10:23 unknown-step `pais`: there is no step `pais`; did you mean `paid`?",
            "10:30 unknown-field `tolerance`: the check `b` has no field `tolerance`; `tolerance` belongs to `agree`",
        ],
    );
}

#[test]
fn what_a_flow_needs() {
    refuses(
        "about: nothing\n",
        &[
            "1:1 missing-field `about: nothing`: a flow needs `flow`; name the flow: `flow: order-payment`",
            "1:1 missing-field `about: nothing`: a flow needs `key`; name the key that identifies a transaction: `key: order_id`",
            "1:1 missing-field `about: nothing`: a flow needs `steps`; a flow has steps: `steps: {placed: {from: …, key: {…}}}`",
        ],
    );
    refuses("[a, b]\n", &["1:1 wrong-type `[a, b]`: a flow should be a map (`name: value`), and this is a list"]);
}

#[test]
fn a_step_must_reach_a_transaction() {
    refuses(
        "flow: f\nkey: order\nsteps:\n  a: {from: erp, key: {order: body.o}}\n  b: {from: erp, key: {parcel: body.p}}\n  c: {from: erp}\nchecks: {x: {order: [a, b, c]}}\n",
        &[
            "5:3 unreachable-step `b`: no key of the step `b` is ever bound to a transaction; give it `order`, or a key that \
             another step has beside `order`",
            "6:3 unreachable-step `c`: the step `c` has no `key`, so it belongs to no transaction; give it `order`, or a key \
             that another step has beside `order`",
        ],
    );
}

#[test]
fn a_source_without_times_needs_one() {
    refuses(
        "flow: f\nkey: k\nsteps:\n  a: {from: untimed, key: {k: body.k}}\nchecks: {x: {forbid: a}}\n",
        &[
            "4:13 no-time `untimed`: the source `untimed` says nothing of event time; give the source a `time: body.…` in the \
           configuration, or the step one of its own",
        ],
    );
}

#[test]
fn forms_are_told_apart() {
    refuses_check(
        "{}",
        &["no-form `c`: the check `c` has no form; it needs one of: schedule, after, forbid, together, at_most, \
                    order, requires, agree, holds, states, mirror"],
    );
    refuses_check(
        "{togther: [placed, paid], within: 5m}",
        &["no-form `togther`: `togther` is no form of check; did you mean `together`?"],
    );
    refuses_check(
        "{expect: paid, within: 5m}",
        &["no-form `c`: a check with `expect` needs `after`; write it like `after: A, expect: B, \
                    within: 5m (or never: B)`"],
    );
    refuses_check(
        "{forbid: paid, order: [placed, paid]}",
        &["two-forms `order`: a check has one form, and this has 2: forbid, order; \
                    write two checks"],
    );
    refuses_check(
        "{after: placed, expect: paid, never: picked}",
        &["two-forms `c`: a check says `expect` or `never`, not both; write two checks"],
    );
    refuses_check(
        "{forbid: paid, give_up: 5m}",
        &["unknown-field `give_up`: the check `c` has no field `give_up`; `give_up` belongs to \
                    `after … expect … within`"],
    );
}

#[test]
fn what_is_expected_after_a_step() {
    refuses_check(
        "{after: placed, expect: [paid, picked], within: 5m}",
        &["bad-expect `[paid, picked]`: a list says neither whether all must \
                    come nor whether one is enough; write `{all: […]}` or `{any: […]}`"],
    );
    refuses_check(
        "{after: placed, expect: {any: [paid], all: [picked]}, within: 5m}",
        &["bad-expect `{any: [paid], all: [picked]}`: `expect` \
                    says one of `any`, `all`, `count`; `{any: [B, C]}`, `{all: [B, C]}` or `{count: {B: 3}}`"],
    );
    refuses_check(
        "{after: placed, expect: {count: {picked: paid.price}}, within: 5m}",
        &["bad-count `paid.price`: a count is a number or a \
                    kept field of the step under `after`"],
    );
    refuses_check(
        "{after: placed, expect: {count: {picked: placed.line}}, within: 5m}",
        &["unknown-kept-field `line`: the step `placed` \
                    keeps no field `line`; did you mean `lines`?"],
    );
    refuses_check(
        "{after: placed, expect: paid, within: 5m, give_up: 1m}",
        &["bad-give-up `1m`: it would be given up before it is due, 5m after \
                    the step; `give_up` is at least as long as `within`"],
    );
    refuses_check(
        "{after: placed, expect: paid, within: 5m, due: \"0 3 * * *\"}",
        &["two-deadlines `\"0 3 * * *\"`: a check has `within` or `due`, \
                    not both; remove one of them"],
    );
    refuses_check(
        "{after: placed, expect: paid, due: \"61 3 * * *\"}",
        &[
            "bad-schedule `\"61 3 * * *\"`: `61 3 * * *` is not a schedule (number out of bounds); five fields: minute, hour, day of month, month, day of week, \
                    such as `0 2 * * *`",
        ],
    );
    refuses_check(
        "{after: placed, expect: paid, due: \"0 3 * * *\", zone: Europe/Berln}",
        &["unknown-zone `Europe/Berln`: there is no time zone \
                    `Europe/Berln`; did you mean `Europe/Berlin`?"],
    );
    refuses_check(
        "{after: placed, expect: paid, within: 5 min}",
        &["bad-duration `5 min`: `5 min` is not a duration; write it like 30s, 15m, 1h30m \
                    or 1d (units: ms s m h d w y)"],
    );
}

#[test]
fn expressions_are_pointed_into() {
    refuses_check(
        "\n    holds: |\n      count(paid) <=\n        last(placed).prise",
        &["bad-expression `prise`: the step `placed` keeps no field `prise`; did you mean `price`?"],
    );
    let step = |parts: &str| {
        format!(
            "flow: f\nkey: k\nsteps:\n  a: {{from: erp, key: {{k: body.k}}, {parts}}}\nchecks: {{x: {{forbid: a}}}}\n"
        )
    };
    refuses(
        &step("keep: {x: headers.x-id}"),
        &[
            "4:56 bad-expression `id`: `id` is not known: a field of the record is written `body.id`; `-` is a minus; a name with \
           it is written `'headers[\"x-id\"]'`",
        ],
    );
    refuses(&step("when: \"body.type = 'x'\""), &["4:53 bad-expression `=`: `=` is not an operator; write `==`"]);
    refuses(&step("keep: {x: }"), &["4:43 empty-value `x`: `x` is present but empty; give it a value, or remove it"]);
}

#[test]
fn options_are_checked() {
    refuses_check(
        "{after: placed, expect: paid, within: 5m, by: item}",
        &["key-not-carried `item`: `by: item` needs this key in every step of the \
                    check, and `paid` has none; add `item` to the `key` of `paid`, or leave `by` out"],
    );
    refuses_check(
        "{order: [placed, paid], by: itm}",
        &["unknown-key `itm`: no step has a key `itm`; did you mean `item`?"],
    );
    refuses_check(
        "{order: [placed, paid], severity: fatal}",
        &["unknown-value `fatal`: `severity` cannot be `fatal`; there are: info, warning, critical"],
    );
    refuses_check(
        "{order: [placed, paid], class: duplicat}",
        &["unknown-value `duplicat`: `class` cannot be `duplicat`; did you mean `duplicate`?"],
    );
    refuses_check(
        "{order: [placed, paid], given: [nothing]}",
        &["unknown-step `nothing`: there is no step `nothing`; there are: placed, paid, picked"],
    );
    refuses_check(
        "{schedule: \"0 2 * * *\", expect: paid, within: 1h, given: placed}",
        &["unknown-field `given`: the check `c` has no field `given`; \
                    `given` belongs to checks of a transaction, and a schedule is none"],
    );
}

#[test]
fn the_other_forms() {
    refuses_check(
        "{together: [placed, paid]}",
        &["missing-field `{together: [placed, paid]}`: the check `c` needs `within`; write it like `together: \
                    [A, B], within: 5m`"],
    );
    refuses_check("{order: [placed, paid, placed]}", &["step-twice `placed`: this step is named twice; name it once"]);
    refuses_check(
        "{order: placed}",
        &["too-few-steps `placed`: `order` needs two steps or more; write it like `order: [A, B]`"],
    );
    refuses_check("{at_most: {paid: 0}}", &["bad-count `0`: `at_most` begins at 1; say `forbid: paid`"]);
    refuses_check("{at_most: {paid: some}}", &["wrong-type `some`: `paid` should be a whole number, and this is text"]);
    refuses_check(
        "{agree: [placed.price, paid]}",
        &["bad-field `paid`: `paid` names no field; write `step.field`: a step and one of its kept fields, or \
                    its `time`"],
    );
    refuses_check(
        "{agree: [placed.price, paid.prise], tolerance: -1}",
        &[
            "unknown-kept-field `prise`: the step `paid` keeps no field `prise`; did you mean `price`?",
            "bad-number `-1`: `-1` is not a decimal from 0 up; write it like `tolerance: 0.01`",
        ],
    );
    refuses_check(
        "{states: picked.status, allow: [\"a > b\", \"a -> b -> c\"]}",
        &[
            "bad-arrow `\"a > b\"`: `a > b` is not one arrow; write one arrow between two values: `\"new -> paid\"`",
            "bad-arrow `\"a -> b -> c\"`: `a -> b -> c` is not one arrow; write one arrow between two values: `\"new -> paid\"`",
        ],
    );
}

#[test]
fn a_mirror_needs_its_entry() {
    let mirror = |entry: &str, fields: &str| {
        format!("{{mirror: placed, in: cache, entry: {entry}, fields: {fields}, within: 5s}}")
    };
    refuses_check(
        &mirror("order", "{p: price}"),
        &["bad-entry `order`: the name of the entry has no key in it, so it belongs to no transaction; write the \
                    entry's name with the keys in braces: `\"order:{order_id}\"`"],
    );
    refuses_check(
        &mirror("\"order:{ordr}\"", "{p: prize}"),
        &[
            "unknown-key `ordr`: no step has a key `ordr`; did you mean `order`?",
            "unknown-kept-field `prize`: the step `placed` keeps no field `prize`; did you mean `price`?",
        ],
    );
    refuses_check(
        "{mirror: placed, in: cache}",
        &[
            "missing-field `{mirror: placed, in: cache}`: the check `c` needs `entry`; write it like `mirror: A, in: cache, entry: \"a:{id}\", fields: {x: x}, \
         within: 5s`",
            "missing-field `{mirror: placed, in: cache}`: the check `c` needs `fields`; write it like `mirror: A, in: cache, entry: \"a:{id}\", fields: {x: x}, \
         within: 5s`",
            "missing-field `{mirror: placed, in: cache}`: the check `c` needs `within`; write it like `mirror: A, in: cache, entry: \"a:{id}\", fields: {x: x}, \
         within: 5s`",
        ],
    );
}

#[test]
fn a_mirror_has_its_step_to_itself() {
    let mirror = |name: &str, cache: &str, by: &str| {
        let check = format!(
            "  {name}: {{mirror: placed, in: {cache}, entry: \"o:{{order}}\", fields: {{p: price}}, within: 9s{by}}}\n"
        );
        let (_, found) = compile_files(&[("flow.yaml", &with_checks(&check))]);
        found.iter().filter(|d| d.severity == super::Severity::Error).map(|d| d.code).collect::<Vec<_>>()
    };
    assert_eq!(mirror("fresh", "cache", ""), Vec::<&str>::new());
    assert_eq!(mirror("paid", "cache", ""), ["duplicate-name"]);
    assert_eq!(mirror("fresh", "untimed", ""), ["no-time"]);
    assert_eq!(mirror("fresh", "cache", ", by: item"), ["key-not-carried"]);
    assert_eq!(mirror("fresh", "cache", ", by: order"), ["needless-by"]);
}

#[test]
fn names_are_given_once() {
    let text = "flow: f\nkey: k\nsteps:\n  a: {from: erp, key: {k: body.k}}\nchecks: {x: {forbid: a}}\n";
    let (_, found) = compile_files(&[("a.yaml", text), ("b.yaml", text)]);
    assert_eq!(brief(&found), ["1:7 duplicate-name `f`: there is a flow `f` already, in a.yaml; give it another name"]);
    assert_eq!(found[0].file.to_str(), Some("b.yaml"));
}

#[test]
fn shared_steps_can_be_added_to_but_not_changed() {
    let shared = "steps:\n  placed: {from: erp, when: body.a == 1, key: {order: body.order}, keep: {x: body.x}}\n";
    let flow =
        |step: &str| format!("flow: f\nkey: order\nsteps:\n  p: {{use: {step}}}\nchecks: {{x: {{forbid: p}}}}\n");
    let errors = |step: &str, folder: &str| {
        let file = format!("{folder}/f.yaml");
        brief(&compile_files(&[("flows/shared.yaml", shared), (&file, &flow(step))]).1)
    };
    assert_eq!(errors("placed, keep: {y: body.y}", "flows"), Vec::<String>::new());
    assert_eq!(
        errors("place", "flows"),
        ["4:12 unknown-shared-step `place`: there is no shared step `place`; did you mean `placed`?"]
    );
    assert_eq!(
        errors("placed", "elsewhere"),
        [
            "4:12 unknown-shared-step `placed`: there is no shared step `placed`; shared steps stand in a document with `steps:` \
          and no `flow:` in the same folder"
        ]
    );
    assert_eq!(
        errors("placed, when: body.b == 1, keep: {x: body.z}", "flows"),
        [
            "4:20 use-conflict `when`: the shared step has `when` already, and a step that uses it can only add; remove it here, \
             or write the step out without `use`",
            "4:46 use-conflict `x`: the shared step has `x` already, and a step that uses it can only add; remove it here, or \
             write the step out without `use`",
        ]
    );
}
