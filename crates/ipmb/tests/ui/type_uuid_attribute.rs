use ipmb::TypeUuid;

#[derive(TypeUuid)]
struct Missing;

#[derive(TypeUuid)]
#[uuid("7b07473e-9659-4d47-a502-8245d71c0078")]
struct List;

#[derive(TypeUuid)]
#[uuid = 7]
struct Number;

#[derive(TypeUuid)]
#[uuid = "7b07473e-9659-4d47-a502-8245d71c007"]
struct Short;

#[derive(TypeUuid)]
#[uuid = "7b07473e-9659-4d47-a502-8245d71c0078"]
#[uuid = "7b07473e-9659-4d47-a502-8245d71c0079"]
struct Twice;

fn main() {}
