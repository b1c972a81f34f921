//! A list of fields that is filled in with arrow keys, letters and Return.

use maekin_host::tty::Key;

/// Longest text of a field.
const LONGEST: usize = 1000;

/// What a field takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Text that is not shown.
    Secret,
    /// One of these.
    Choice(Vec<String>),
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name, unique in its form.
    pub label: &'static str,
    /// Its value; of a choice, the chosen text.
    pub value: String,
    /// What it takes.
    pub kind: Kind,
    /// One line about it.
    pub help: &'static str,
    /// Shown only where another field has this value.
    pub when: Option<(&'static str, &'static str)>,
}

/// Fields, and the one that has the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// All fields.
    pub fields: Vec<Field>,
    /// A person has changed something.
    pub touched: bool,
    focus: usize,
}

/// What a key did to a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was used, or meant nothing.
    Stay,
    /// Return on the last field.
    Done,
    /// Escape.
    Back,
}

impl Field {
    /// A text field.
    #[must_use]
    pub fn text(label: &'static str, value: &str, help: &'static str) -> Self {
        Self { label, value: value.to_owned(), kind: Kind::Text, help, when: None }
    }

    /// A field whose text is not shown.
    #[must_use]
    pub fn secret(label: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::Secret, ..Self::text(label, "", help) }
    }

    /// A choice; the first is chosen.
    #[must_use]
    pub fn choice(label: &'static str, options: &[&str], help: &'static str) -> Self {
        let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        Self {
            label,
            value: options.first().cloned().unwrap_or_default(),
            kind: Kind::Choice(options),
            help,
            when: None,
        }
    }

    /// Shown only where the field `label` has `value`.
    #[must_use]
    pub fn when(mut self, label: &'static str, value: &'static str) -> Self {
        self.when = Some((label, value));
        self
    }
}

impl Form {
    /// A form with its cursor on the first field.
    #[must_use]
    pub fn new(fields: Vec<Field>) -> Self {
        Self { fields, touched: false, focus: 0 }
    }

    /// The value of the field `label`, without blanks around it; empty where it is not shown.
    #[must_use]
    pub fn value(&self, label: &str) -> &str {
        self.fields.iter().find(|f| f.label == label && self.shows(f)).map_or("", |f| f.value.trim())
    }

    /// The fields that are shown, and whether each has the cursor.
    pub fn shown(&self) -> impl Iterator<Item = (&Field, bool)> {
        self.fields.iter().enumerate().filter(|(_, f)| self.shows(f)).map(|(i, f)| (f, i == self.focus))
    }

    /// The field with the cursor.
    #[must_use]
    pub fn focused(&self) -> Option<&Field> {
        self.fields.get(self.focus)
    }

    /// A field that hangs on a hidden one is hidden with it.
    fn shows(&self, field: &Field) -> bool {
        field.when.is_none_or(|(label, value)| {
            self.fields.iter().any(|other| other.label == label && other.value == value && self.shows(other))
        })
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Outcome {
        match key {
            Key::Esc => return Outcome::Back,
            Key::Enter if !self.walk(true) => return Outcome::Done,
            Key::Down | Key::Tab => {
                self.walk(true);
            }
            Key::Up | Key::BackTab => {
                self.walk(false);
            }
            Key::Left => self.turn(false),
            Key::Right => self.turn(true),
            Key::Char(' ')
                if matches!(self.fields.get(self.focus).map(|f| &f.kind), Some(Kind::Choice(_))) =>
            {
                self.turn(true);
            }
            Key::Char(c) => self.edit(|value| {
                if value.len() < LONGEST {
                    value.push(c);
                }
            }),
            Key::Backspace => self.edit(|value| {
                value.pop();
            }),
            Key::Ctrl('u') => self.edit(String::clear),
            _ => {}
        }
        Outcome::Stay
    }

    /// Moves the cursor to the next or the previous field shown; false at the end.
    fn walk(&mut self, forward: bool) -> bool {
        let mut at = self.focus;
        loop {
            let next = if forward { at.checked_add(1) } else { at.checked_sub(1) };
            match next.filter(|i| *i < self.fields.len()) {
                Some(i) if self.shows(&self.fields[i]) => {
                    self.focus = i;
                    return true;
                }
                Some(i) => at = i,
                None => return false,
            }
        }
    }

    fn turn(&mut self, forward: bool) {
        let Some(field) = self.fields.get_mut(self.focus) else { return };
        let Kind::Choice(options) = &field.kind else { return };
        let at = options.iter().position(|o| *o == field.value).unwrap_or(0);
        let next = if forward { at + 1 } else { at + options.len().max(1) - 1 };
        if let Some(option) = options.get(next % options.len().max(1)) {
            field.value.clone_from(option);
            self.touched = true;
        }
    }

    fn edit(&mut self, change: impl FnOnce(&mut String)) {
        if let Some(field) = self.fields.get_mut(self.focus)
            && !matches!(field.kind, Kind::Choice(_))
        {
            change(&mut field.value);
            self.touched = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        Form::new(vec![
            Field::choice("Address", &["DHCP", "fixed"], ""),
            Field::text("IP", "", "").when("Address", "fixed"),
            Field::secret("Word", ""),
        ])
    }

    fn type_text(form: &mut Form, text: &str) {
        for c in text.chars() {
            form.key(Key::Char(c));
        }
    }

    #[test]
    fn hidden_fields_are_skipped_and_have_no_value() {
        let mut form = form();
        assert_eq!(form.key(Key::Enter), Outcome::Stay);
        type_text(&mut form, "xyz");
        assert_eq!((form.value("IP"), form.value("Word")), ("", "xyz"));
        assert_eq!(form.key(Key::Enter), Outcome::Done);
        form.key(Key::Up);
        form.key(Key::Right);
        assert_eq!((form.value("Address"), form.shown().count()), ("fixed", 3));
        form.key(Key::Down);
        type_text(&mut form, " 10.0.0.1/8");
        assert_eq!(form.value("IP"), "10.0.0.1/8");
        form.key(Key::Backspace);
        assert_eq!(form.value("IP"), "10.0.0.1/");
    }

    #[test]
    fn choices_turn_round_and_take_no_text() {
        let mut form = form();
        for (key, want) in [(Key::Left, "fixed"), (Key::Char(' '), "DHCP"), (Key::Char('x'), "DHCP")] {
            form.key(key);
            assert_eq!(form.value("Address"), want, "{key:?}");
        }
        assert_eq!(form.key(Key::Esc), Outcome::Back);
    }
}
