//! YAML text to a tree, bounded in depth and size. The parser's events are used and not its
//! values: they keep lines, numbers as written, and names that occur twice.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use tollgate_core::config::node::{Entry, Node, Scalar, Style, Value};
use tollgate_core::config::problem::{Place, Problem};

/// Deeper than any field; everything that walks the tree relies on it.
const DEPTH_MAX: usize = 32;
/// Aliases count as what they repeat, so that a few lines cannot become a billion.
const NODES_MAX: usize = 1_000_000;

/// The tree, or the first thing that is no YAML: nothing after it can be trusted.
pub(super) fn read(text: &str) -> Result<Node, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| not_yaml(&error))?;
        builder.take(event, &span)?;
    }
    Ok(builder.root.unwrap_or(Node {
        line: 1,
        value: Value::Empty,
    }))
}

fn not_yaml(error: &ScanError) -> Problem {
    problem(
        error.marker().line(),
        format!("this is not YAML: {}", error.info()),
        "mend it here or in the line before: indentation, quotes, a colon, tabs",
    )
}

fn problem(line: usize, found: impl Into<String>, fix: &str) -> Problem {
    Place::root(line).problem(found, fix)
}

/// A list or a mapping that is not closed yet.
struct Open {
    line: usize,
    anchor: usize,
    shape: Shape,
}

enum Shape {
    List(Vec<Node>),
    /// A name whose value has not come yet.
    Map(Vec<Entry>, Option<(String, usize)>),
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    documents: usize,
}

struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let line = span.start.line();
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.document(line),
            Event::Alias(anchor) => self.alias(anchor, line),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => Err(problem(
                line,
                "a tag (`!...`) stands here, and none has a meaning",
                "remove it",
            )),
            Event::Scalar(text, style, anchor, None) => {
                let node = Node {
                    line,
                    value: scalar(text.into_owned(), style),
                };
                self.finished(node, anchor)
            }
            Event::SequenceStart(anchor, None) => self.open(line, anchor, Shape::List(Vec::new())),
            Event::MappingStart(anchor, None) => {
                self.open(line, anchor, Shape::Map(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                None => Ok(()),
                Some(open) => {
                    let value = match open.shape {
                        Shape::List(nodes) => Value::List(nodes),
                        Shape::Map(entries, _) => Value::Map(entries),
                    };
                    let node = Node {
                        line: open.line,
                        value,
                    };
                    self.finished(node, open.anchor)
                }
            },
        }
    }

    fn document(&mut self, line: usize) -> Result<(), Problem> {
        self.documents = self.documents.saturating_add(1);
        if self.documents > 1 {
            return Err(problem(
                line,
                "a second document begins here",
                "keep one: remove the `---` and what does not belong",
            ));
        }
        Ok(())
    }

    fn open(&mut self, line: usize, anchor: usize, shape: Shape) -> Result<(), Problem> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(line));
        }
        self.open.push(Open {
            line,
            anchor,
            shape,
        });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), Problem> {
        // An alias inside what it names has no end.
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(problem(
                line,
                "this alias repeats something that is not complete",
                "write it out",
            ));
        };
        if self.open.len().saturating_add(anchored.depth) > DEPTH_MAX {
            return Err(too_deep(line));
        }
        // Counted before it is copied.
        self.nodes = self.nodes.saturating_add(anchored.nodes);
        if self.nodes > NODES_MAX {
            return Err(too_large(line));
        }
        let node = anchored.node.clone();
        self.place(node)
    }

    fn finished(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > NODES_MAX {
            return Err(too_large(node.line));
        }
        if anchor > 0 {
            let (nodes, depth) = measure(&node);
            self.nodes = self.nodes.saturating_add(nodes);
            let anchored = Anchored {
                node: node.clone(),
                nodes,
                depth,
            };
            self.anchors.insert(anchor, anchored);
        }
        self.place(node)
    }

    fn place(&mut self, node: Node) -> Result<(), Problem> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.shape {
            Shape::List(nodes) => nodes.push(node),
            Shape::Map(entries, waiting) => match waiting.take() {
                Some((key, line)) => entries.push(Entry {
                    key,
                    line,
                    value: node,
                }),
                None => *waiting = Some(name(node)?),
            },
        }
        Ok(())
    }
}

fn name(node: Node) -> Result<(String, usize), Problem> {
    match node.value {
        Value::Scalar(Scalar { text, .. }) => Ok((text, node.line)),
        Value::Empty => Ok((String::new(), node.line)),
        Value::List(_) | Value::Map(_) | Value::Mistaken => Err(problem(
            node.line,
            "something stands where a name belongs",
            "write `name: value`",
        )),
    }
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted
        | ScalarStyle::DoubleQuoted
        | ScalarStyle::Literal
        | ScalarStyle::Folded => Style::Quoted,
    };
    let nothing = ["", "~", "null", "Null", "NULL"].contains(&text.as_str());
    if style == Style::Plain && nothing {
        return Value::Empty;
    }
    Value::Scalar(Scalar {
        text,
        written: None,
        style,
    })
}

/// How many nodes, and how many levels of lists and mappings.
fn measure(node: &Node) -> (usize, usize) {
    let children: Vec<&Node> = match &node.value {
        Value::Empty | Value::Scalar(_) | Value::Mistaken => return (1, 0),
        Value::List(nodes) => nodes.iter().collect(),
        Value::Map(entries) => entries.iter().map(|entry| &entry.value).collect(),
    };
    let (mut nodes, mut depth) = (1_usize, 0_usize);
    for (below, levels) in children.into_iter().map(measure) {
        nodes = nodes.saturating_add(below);
        depth = depth.max(levels);
    }
    (nodes, depth.saturating_add(1))
}

fn too_deep(line: usize) -> Problem {
    problem(
        line,
        format!("this is nested deeper than {DEPTH_MAX} levels"),
        "no field is so deep: check the brackets and the indentation",
    )
}

fn too_large(line: usize) -> Problem {
    problem(
        line,
        format!("the file holds more than {NODES_MAX} values, aliases written out"),
        "repeat less with aliases",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text).unwrap_err().found
    }

    #[test]
    fn a_tree_knows_its_lines_and_keeps_numbers_as_written() {
        let root = read("\u{feff}# comment\na: 0.10\nb:\n- '1'\n- ~\na: 2\n").unwrap();
        let plain = |text: &str, line, style| Node {
            line,
            value: Value::Scalar(Scalar {
                text: text.to_owned(),
                written: None,
                style,
            }),
        };
        let entry = |key: &str, line, value| Entry {
            key: key.to_owned(),
            line,
            value,
        };
        let list = vec![
            plain("1", 4, Style::Quoted),
            Node {
                line: 5,
                value: Value::Empty,
            },
        ];
        let want = vec![
            entry("a", 2, plain("0.10", 2, Style::Plain)),
            entry(
                "b",
                3,
                Node {
                    line: 4,
                    value: Value::List(list),
                },
            ),
            entry("a", 6, plain("2", 6, Style::Plain)),
        ];
        assert_eq!(root.value, Value::Map(want));
    }

    #[test]
    fn nothing_is_a_tree_too() {
        for text in ["", "\n\n", "# comment", "---\n", "~"] {
            assert_eq!(read(text).unwrap().value, Value::Empty, "{text:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&deep(DEPTH_MAX)).is_ok());
        let want = "this is nested deeper than 32 levels";
        assert_eq!(refused(&deep(DEPTH_MAX + 1)), want);
        assert_eq!(refused(&"- ".repeat(100_000)), want);
        // The parser looks ahead and has a bound of its own.
        let theirs = "this is not YAML: recursion limit exceeded";
        assert_eq!(refused(&"[".repeat(100_000)), theirs);
        // Each level of aliases is one level deeper than the one before.
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..DEPTH_MAX {
            text += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
        }
        assert_eq!(refused(&text), want);
    }

    #[test]
    fn an_alias_bomb_does_not_go_off() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![below; 9].join(", "));
        }
        assert_eq!(
            refused(&text),
            "the file holds more than 1000000 values, aliases written out"
        );
    }
}
