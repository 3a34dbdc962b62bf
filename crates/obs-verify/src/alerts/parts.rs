//! A file of rules in parts, so that some rules can be left out and all others keep their text and comments.

/// The indentation of a rule, and of the comments before it.
const RULE: usize = 6;

/// A file of rules, as the templates are written: two spaces before a group, six before a rule.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// Up to the line `groups:`.
    head: &'a str,
    groups: Vec<Group<'a>>,
}

#[derive(Debug, Default)]
struct Group<'a> {
    /// Its comment, its name and its interval.
    head: Vec<&'a str>,
    rules: Vec<Vec<&'a str>>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let start = text
            .find("groups:\n")
            .map_or(text.len(), |at| at + "groups:\n".len());
        let (head, rest) = text.split_at(start);
        let mut groups: Vec<Group<'a>> = Vec::new();
        // Comments belong to what comes after them.
        let mut comments = Vec::new();
        for line in rest.split_inclusive('\n') {
            let content = line.trim_start();
            let indented = line.len() - content.len();
            if content.is_empty() || (content.starts_with('#') && indented <= RULE) {
                comments.push(line);
            } else if line.starts_with("  - name:") {
                let mut head = std::mem::take(&mut comments);
                head.push(line);
                groups.push(Group {
                    head,
                    rules: Vec::new(),
                });
            } else if let Some(group) = groups.last_mut() {
                if line.starts_with("      - ") {
                    let mut rule = std::mem::take(&mut comments);
                    rule.push(line);
                    group.rules.push(rule);
                } else {
                    let part = group.rules.last_mut().unwrap_or(&mut group.head);
                    part.append(&mut comments);
                    part.push(line);
                }
            }
        }
        Self { head, groups }
    }

    /// The file with the rules that are to be kept, by their number from 0; none if there are none.
    pub(super) fn kept(&self, is_kept: impl Fn(usize) -> bool) -> Option<String> {
        let mut text = self.head.to_owned();
        let (mut number, mut any) = (0, false);
        for group in &self.groups {
            let mut kept = group.rules.iter().filter(|_| {
                number += 1;
                is_kept(number - 1)
            });
            let Some(first) = kept.next() else {
                continue;
            };
            any = true;
            text.extend(group.head.iter().chain(first).copied());
            text.extend(kept.flatten().copied());
        }
        any.then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# A file.\ngroups:\n  # One.\n  - name: one\n    rules:\n      # First.\n      - record: a:b\n        # Inside.\n        expr: a\n      - alert: B\n        expr: b\n\n  - name: two\n    interval: 1m\n    rules:\n      - alert: C\n        expr: c\n";

    #[test]
    fn all_rules_are_the_file() {
        assert_eq!(Parts::of(FILE).kept(|_| true).as_deref(), Some(FILE));
    }

    #[test]
    fn rules_and_groups_are_left_out_with_their_comments() {
        let kept = Parts::of(FILE).kept(|i| i == 1);
        let expected = "# A file.\ngroups:\n  # One.\n  - name: one\n    rules:\n      - alert: B\n        expr: b\n";
        assert_eq!(kept.as_deref(), Some(expected));
        assert_eq!(Parts::of(FILE).kept(|_| false), None);
    }
}
