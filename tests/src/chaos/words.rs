//! Labels and expressions that are numbers, so that they fit a record, and are evaluated here
//! without the code that is tested.

use super::dice::Dice;
use ipmb::{Label, LabelOp};

/// So many words that several may carry.
const GROUPS: u8 = 6;
/// The word of those who do not wait for room, but drop messages.
const LOSSY: u8 = 63;

/// The words of a label: a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Words(pub u64);

impl Words {
    /// A name, which one endpoint carries at a time, and some groups.
    pub fn random(name: u64, dice: &mut Dice) -> Self {
        let groups = (0..GROUPS).filter(|_| dice.chance(350));
        let words = groups.fold(bit(GROUPS + name as u8), |words, group| words | bit(group));
        match dice.chance(150) {
            true => Self(words | bit(LOSSY)),
            false => Self(words),
        }
    }

    /// Whether messages to it may be dropped.
    pub fn is_lossy(self) -> bool {
        self.0 & bit(LOSSY) != 0
    }

    /// The label of these words. All have one word more, which tells them from strangers.
    pub fn label(self) -> Label {
        let words = (0..64).filter(|at| self.0 & bit(*at) != 0).map(word);
        Label::from(words.chain([PLAYER.to_owned()]))
    }
}

/// On all labels of the ledger's endpoints, and on no others.
const PLAYER: &str = "player";

const fn bit(at: u8) -> u64 {
    1 << at
}

fn word(at: u8) -> String {
    match at.checked_sub(GROUPS) {
        _ if at == LOSSY => "lossy".to_owned(),
        None => format!("group{at}"),
        Some(name) => format!("name{name}"),
    }
}

/// An expression over labels. What it is follows from its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// All of the ledger's endpoints.
    All,
    /// Those that carry the word.
    Word(u8),
    /// Those that do not satisfy it.
    Not(Box<Self>),
    /// Those that satisfy both.
    And(Box<Self>, Box<Self>),
    /// Those that satisfy at least one.
    Or(Box<Self>, Box<Self>),
}

/// In the number of an expression. There are never so many names.
const RELIABLE: u32 = 1 << 31;

/// The number of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u32);

impl Code {
    /// One of the 64 of a run, over the names below `names`.
    pub fn random(seed: u64, names: u64, dice: &mut Dice) -> Self {
        let which = dice.among(0..=63);
        let dice = Dice::of(seed, &[which]).any() as u32;
        Self((dice & 0x00ff_ffff) | (names as u32) << 24)
    }

    /// The expression that nobody but this name satisfies.
    pub fn of_name(name: u64) -> Self {
        Self(name as u32)
    }

    /// The same, but for those to whom messages may be dropped.
    pub fn reliable(self) -> Self {
        Self(self.0 | RELIABLE)
    }

    /// What it stands for.
    pub fn expression(self) -> Expression {
        if self.0 & RELIABLE != 0 {
            let lossy = Box::new(Expression::Word(LOSSY));
            let all = Self(self.0 & !RELIABLE).expression();
            return Expression::And(Box::new(all), Box::new(Expression::Not(lossy)));
        }
        let names = u64::from(self.0 >> 24);
        if names == 0 {
            return Expression::Word(GROUPS + self.0 as u8);
        }
        let mut dice = Dice::of(u64::from(self.0), &[names]);
        match dice.among(0..=99) {
            0..=39 => name(names, &mut dice),
            40..=64 => group(&mut dice),
            65..=69 => Expression::All,
            _ => tree(names, 3, &mut dice),
        }
    }
}

fn name(names: u64, dice: &mut Dice) -> Expression {
    Expression::Word(GROUPS + dice.among(0..=names - 1) as u8)
}

fn group(dice: &mut Dice) -> Expression {
    Expression::Word(dice.among(0..=u64::from(GROUPS) - 1) as u8)
}

fn tree(names: u64, depth: u64, dice: &mut Dice) -> Expression {
    let below = |dice: &mut Dice| Box::new(tree(names, depth - 1, dice));
    match dice.among(0..=if depth == 0 { 3 } else { 7 }) {
        0 => name(names, dice),
        1..=3 => group(dice),
        4 => Expression::Not(below(dice)),
        5 => Expression::And(below(dice), below(dice)),
        _ => Expression::Or(below(dice), below(dice)),
    }
}

impl Expression {
    /// Whether these words satisfy it.
    pub fn matches(&self, words: Words) -> bool {
        match self {
            Self::All => true,
            Self::Word(at) => words.0 & bit(*at) != 0,
            Self::Not(one) => !one.matches(words),
            Self::And(one, other) => one.matches(words) && other.matches(words),
            Self::Or(one, other) => one.matches(words) || other.matches(words),
        }
    }

    /// As users write it. Strangers never satisfy it.
    pub fn label_op(&self) -> LabelOp {
        match self {
            Self::All => LabelOp::from(PLAYER),
            Self::Word(at) => LabelOp::from(word(*at)),
            Self::Not(_) | Self::And(..) | Self::Or(..) => {
                LabelOp::from(PLAYER).and(self.operator())
            }
        }
    }

    fn operator(&self) -> LabelOp {
        match self {
            Self::All => LabelOp::True,
            Self::Word(at) => LabelOp::from(word(*at)),
            Self::Not(one) => !one.operator(),
            Self::And(one, other) => one.operator().and(other.operator()),
            Self::Or(one, other) => one.operator().or(other.operator()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_means_the_same_to_the_bus() {
        let mut dice = Dice::of(1, &[]);
        let (mut yes, mut no) = (0, 0);
        for _ in 0..2000 {
            let mut code = Code::random(dice.any(), 12, &mut dice);
            if dice.chance(300) {
                code = code.reliable();
            }
            let expression = code.expression();
            let words = Words::random(dice.among(0..=11), &mut dice);
            let ours = expression.matches(words);
            assert_eq!(
                ours,
                expression.label_op().validate(&words.label()),
                "{expression:?}"
            );
            *(if ours { &mut yes } else { &mut no }) += 1;
            assert!(!expression.label_op().validate(&ipmb::label!("stranger")));
        }
        assert!(yes > 200 && no > 200, "{yes} {no}");
    }
}
