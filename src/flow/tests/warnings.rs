//! What can run, but cannot work well.

use super::{brief, compile_files, with_checks};

/// The warnings of a flow with these steps and checks; key `order`.
#[track_caller]
fn warns(steps: &str, checks: &str, expect: &[&str]) {
    let text = format!("flow: f\nkey: order\nsteps:\n{steps}checks:\n{checks}");
    let (plan, found) = compile_files(&[("flow.yaml", &text)]);
    assert_eq!(brief(&found), expect);
    assert!(plan.is_some());
}

#[test]
fn a_flow_without_checks() {
    let (plan, found) =
        compile_files(&[("f.yaml", "flow: f\nkey: order\nsteps:\n  a: {from: erp, key: {order: body.o}}\n")]);
    assert!(plan.is_some());
    assert_eq!(
        brief(&found),
        [
            "1:7 no-checks `f`: this flow has no `checks`, so nothing is ever judged; say what must hold: `checks: {paid: {after: \
             placed, expect: paid, within: 30m}}`",
            "4:3 unused-step `a`: no check uses the step `a`; add a check that names it, or remove it",
        ]
    );
}

#[test]
fn steps_and_keys_that_nothing_uses() {
    warns(
        "  a: {from: erp, key: {order: body.o, ref: body.r}}\n  b: {from: erp, key: {order: body.o, parcel: body.p}}\n  c: {from: erp, key: {parcel: body.p}}\n  d: {from: erp, key: {order: body.o}}\n",
        "  x: {order: [a, c]}\n",
        &[
            "4:44 lonely-key `body.r`: no step but `a` has the key `ref`, so nothing joins by it; is it spelt differently \
             elsewhere? if it is only to be shown, `keep` it",
            "7:3 unused-step `d`: no check uses the step `d`; add a check that names it, or remove it",
        ],
    );
}

#[test]
fn names_of_one_rank_side_by_side() {
    warns(
        "  a: {from: erp, key: {order: body.o, item: body.i}}\n  b: {from: erp, key: {order: body.o, parcel: body.p}}\n  c: {from: erp, key: {item: body.i, parcel: body.p}}\n",
        "  x: {order: [a, b, c]}\n",
        &[
            "6:46 same-rank `body.p`: `item` and `parcel` have one rank, so the step `c` binds neither to the other; if one belongs to \
           the other, name them together in a step with the flow's key as well",
        ],
    );
}

#[test]
fn lists_side_by_side() {
    warns(
        "  a: {from: erp, key: {order: [body.o, body.p], item: [body.i, body.j]}}\n  b: {from: erp, key: {item: body.i}}\n",
        "  x: {order: [a, b]}\n",
        &[
            "4:55 all-to-all `[body.i, body.j]`: several values of `order` beside several of `item`: each is bound to each; if the lists \
           belong together element by element, take the record apart with `each`",
        ],
    );
}

#[test]
fn windows_within_the_skew_of_two_clocks() {
    let steps = "  a: {from: erp, key: {order: body.o}}\n  b: {from: broker, key: {order: body.o}}\n  c: {from: erp, key: {order: body.o}}\n";
    let help = "widen the window, or state a smaller `clock_skew`, or `clock: one` where one clock stamps both";
    warns(
        steps,
        "  x: {after: a, expect: b, within: 5s}\n  y: {after: a, expect: c, within: 1s}\n  z: {together: [a, b, c], within: 6s}\n",
        &[&format!(
            "8:36 window-within-skew `5s`: 5s is no longer than the 5s by which the times of `a` and `b` may differ; {help}"
        )],
    );
}

#[test]
fn counting_what_may_be_delivered_twice() {
    let help = |step: &str| {
        format!("give `{step}` a `dedupe_by`: what makes its effect unique, such as the id of the payment")
    };
    warns(
        "  a: {from: erp, key: {order: body.o}, keep: {n: body.n}}\n  b: {from: shop, key: {order: row.o}}\n  c: {from: erp, key: {order: body.o}, dedupe_by: body.id}\n",
        "  x: {at_most: {a: 1, b: 1, c: 1}}\n  y: {after: b, expect: {count: {a: 2}}, within: 1h}\n  z: {after: b, expect: {all: [a]}, within: 1h}\n",
        &[
            &format!(
                "8:3 counts-positions `x`: this counts every record of `a`: one that is delivered twice counts twice; {}",
                help("a")
            ),
            &format!(
                "9:3 counts-positions `y`: this counts every record of `a`: one that is delivered twice counts twice; {}",
                help("a")
            ),
        ],
    );
}

#[test]
fn invariants_that_count() {
    let (_, found) = compile_files(&[(
        "f.yaml",
        &with_checks("  c: {holds: count(placed) <= count(paid)}\n  d: {forbid: picked}\n"),
    )]);
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), ["counts-positions"]);
}

#[test]
fn what_cannot_be_known() {
    warns(
        "  a: {from: events, key: {order: body.o}}\n  b: {from: events, key: {order: body.o}}\n",
        "  x: {step: b, requires: a}\n  y: {after: a, expect: b, within: 1d, give_up: 8d}\n",
        &[
            "7:26 requires-without-within `a`: without `within` any earlier `a` will do: near the start of the watch this stays \
             undecided; say how long before: `within: 1d`",
            "8:49 beyond-retention `8d`: 8d is longer than `events` keeps its records (7d): after an outage they cannot be read again; \
             shorten the window or lengthen the retention",
        ],
    );
}

#[test]
fn what_a_polled_table_cannot_show() {
    warns(
        "  a: {from: crm.customer, when: op == 'd', key: {order: row.o}}\n  b: {from: crm.customer, key: {order: row.o}, keep: {s: row.s}}\n",
        "  x: {forbid: a}\n  y: {states: b.s, allow: [\"a -> b\"]}\n",
        &[
            "4:33 polled-op `op == 'd'`: `crm` is a polled table: it shows no `op`, and no deletes; use `capture: changes` on this \
             source, or select by the row's fields",
            "8:15 polled-states `b.s`: `crm` is a polled table and may skip states: any path of arrows will do; use `capture: changes` \
             to see every state",
        ],
    );
}
