use ipmb::MessageBox;

#[derive(MessageBox)]
#[ipmb(krate = "bus")]
enum Unknown {
    Text(String),
}

#[derive(MessageBox)]
#[ipmb(crate = "not a path")]
enum NoPath {
    Text(String),
}

fn main() {}
