//! What follows from an experiment file alone, found once and kept for the looks that come.
//!
//! Part of `analyse`. An experiment is looked at hundreds of times; the names of its tests, the
//! hashes that they stand on and its shares of alpha are the same each time and were half of what
//! a look cost. A thread keeps those of the last experiments it judged and finds them again by
//! comparing the whole file, so that an answer never depends on what was judged before.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::AlphaLine;
use super::alpha::{Shares, ledger};
use super::carry::Epoch;
use super::look::{Grounds, Purpose, Question, target, test_id};
use super::split::SplitQuestion;
use crate::spec::{Experiment, Side, Signal};
use crate::stats::Sides;

/// The split checks of an allocation, made once.
type Splits = Vec<(Option<u32>, Rc<Vec<SplitQuestion>>)>;

/// Experiments that a thread keeps.
const KEPT: usize = 16;
/// Tests of one experiment that are kept: two hundred atoms have as many.
const TESTS: usize = 512;

thread_local! {
    static RECENT: RefCell<VecDeque<Rc<Compiled>>> = const { RefCell::new(VecDeque::new()) };
}

/// One experiment's names, hashes and shares.
#[derive(Debug)]
pub(super) struct Compiled {
    experiment: Experiment,
    pub(super) shares: Shares,
    pub(super) ledger: Vec<AlphaLine>,
    grounds: RefCell<Vec<(String, Rc<Grounds>)>>,
    tests: RefCell<Vec<(Asked, Rc<Named>)>>,
    splits: RefCell<Splits>,
}

/// A test's id and what it stands on.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) epoch: Epoch,
}

/// A question by its bits: equal ones have one name.
#[derive(Debug, PartialEq)]
struct Asked {
    numbers: [u64; 3],
    relative: bool,
    purpose: Purpose,
    side: Side,
    sides: Sides,
    signal: String,
    asker: String,
}

impl Asked {
    fn is(&self, asker: &str, signal: &Signal, asked: &Question) -> bool {
        self.numbers == bits(asked)
            && self.relative == asked.null.is_relative()
            && (self.purpose, self.side, self.sides) == (asked.purpose, asked.side, asked.sides)
            && self.signal == signal.name
            && self.asker == asker
    }
}

fn bits(asked: &Question) -> [u64; 3] {
    [asked.null.amount(), asked.tau, asked.alpha].map(f64::to_bits)
}

impl Compiled {
    /// Of this experiment, kept or new.
    pub(super) fn of(experiment: &Experiment) -> Rc<Self> {
        RECENT.with_borrow_mut(|recent| {
            if let Some(at) = recent.iter().position(|known| known.experiment == *experiment) {
                return Rc::clone(&recent[at]);
            }
            let fresh = Rc::new(Self {
                experiment: experiment.clone(),
                shares: Shares::of(experiment),
                ledger: ledger(experiment),
                grounds: RefCell::default(),
                tests: RefCell::default(),
                splits: RefCell::default(),
            });
            recent.truncate(KEPT - 1);
            recent.push_front(Rc::clone(&fresh));
            fresh
        })
    }

    /// The name of the test that a question opens.
    pub(super) fn test(&self, asker: &str, signal: &Signal, asked: &Question) -> Rc<Named> {
        let known = self.tests.borrow();
        if let Some((_, named)) = known.iter().find(|(key, _)| key.is(asker, signal, asked)) {
            return Rc::clone(named);
        }
        drop(known);
        let grounds = self.grounds(signal);
        let mut id = test_id(&self.experiment, signal, asked);
        if !asker.is_empty() {
            id = format!("{id}|{asker}");
        }
        let target = target(&self.experiment, signal, asked, &grounds.aim);
        let epoch = Epoch::of_hashed(&grounds.definition, &[&target]);
        let named = Rc::new(Named { id, epoch });
        let key = Asked {
            numbers: bits(asked),
            relative: asked.null.is_relative(),
            purpose: asked.purpose,
            side: asked.side,
            sides: asked.sides,
            signal: signal.name.clone(),
            asker: asker.to_owned(),
        };
        let mut tests = self.tests.borrow_mut();
        if tests.len() < TESTS {
            tests.push((key, Rc::clone(&named)));
        }
        named
    }

    /// What the split check stands on, by the allocation that a human started.
    pub(super) fn splits(
        &self,
        allocation: Option<u32>,
        make: impl FnOnce() -> Vec<SplitQuestion>,
    ) -> Rc<Vec<SplitQuestion>> {
        let mut known = self.splits.borrow_mut();
        if let Some((_, asked)) = known.iter().find(|(of, _)| *of == allocation) {
            return Rc::clone(asked);
        }
        let asked = Rc::new(make());
        // One allocation at a time.
        *known = vec![(allocation, Rc::clone(&asked))];
        asked
    }

    fn grounds(&self, signal: &Signal) -> Rc<Grounds> {
        let mut known = self.grounds.borrow_mut();
        if let Some((_, grounds)) = known.iter().find(|(name, _)| *name == signal.name) {
            return Rc::clone(grounds);
        }
        let grounds = Rc::new(Grounds::of(&self.experiment, signal));
        known.push((signal.name.clone(), Rc::clone(&grounds)));
        grounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::basis::Null;
    use crate::analyse::fixtures::{arms, experiment, moves, signal};
    use crate::spec::{Amount, Form, Role, Want};

    #[test]
    fn a_name_is_the_same_whatever_was_judged_before() {
        let of = |tau: f64, side: Side| Question {
            purpose: Purpose::Atom,
            null: Null::NONE,
            side,
            tau,
            alpha: 0.05,
            sides: Sides::Two,
        };
        let proxy = signal("y", Role::Proxy, Form::Proportion, Want::Up);
        let rule = moves("y", Side::AtLeast, Amount::Relative(0.1));
        let first = experiment(arms(), vec![proxy.clone()], rule);
        let mut other = first.clone();
        other.signals[0].source = "elsewhere".to_owned();
        for _ in 0..2 {
            for (tau, side) in [(0.03, Side::AtLeast), (0.04, Side::AtLeast), (0.03, Side::AtMost)]
            {
                let asked = of(tau, side);
                for experiment in [&first, &other] {
                    let signal = &experiment.signals[0];
                    let named = Compiled::of(experiment).test("", signal, &asked);
                    let grounds = Grounds::of(experiment, signal);
                    let target = target(experiment, signal, &asked, &grounds.aim);
                    assert_eq!(named.id, test_id(experiment, signal, &asked));
                    assert_eq!(named.epoch, Epoch::of_hashed(&grounds.definition, &[&target]));
                }
            }
        }
        assert!(Rc::ptr_eq(&Compiled::of(&first), &Compiled::of(&first.clone())));
        assert!(!Rc::ptr_eq(&Compiled::of(&first), &Compiled::of(&other)));
        for n in 0..2 * KEPT {
            let mut one = first.clone();
            one.id = n.to_string();
            assert_eq!(Compiled::of(&one).experiment, one);
        }
        assert_eq!(RECENT.with_borrow(VecDeque::len), KEPT);
    }
}
