(** The operation set: what a state is, what is visible, what the commands make (spec/operations.md).

    Hashes are functions of which nothing is taken for granted. Where a law needs that they tell operations
    apart, its claim says so: [collision_free]. *)

From Coq Require Import List Bool.
Import ListNotations.

(** ** Operations [OS-2 to OS-4] *)

Inductive operation_over (id manifest nonce remark : Type) : Type :=
  | Add (made : manifest) (once : nonce) (said : remark)
  | Remove (named : list id) (said : remark)
  | Attest (merge_id model_root : id) (said : remark).

Arguments Add {id manifest nonce remark}.
Arguments Remove {id manifest nonce remark}.
Arguments Attest {id manifest nonce remark}.

(** A workspace: its genesis, and the hashes. Ids are digests; only their equality and the order of their bytes count.
    Everything below is about one workspace, so states of two never meet [OS-7]. *)
Record workspace : Type := Workspace {
  id : Type;
  precedes : id -> id -> bool;   (* before or equal *)
  precedes_total : forall x y, precedes x y = true \/ precedes y x = true;
  precedes_transitive : forall x y z, precedes x y = true -> precedes y z = true -> precedes x z = true;
  precedes_antisymmetric : forall x y, precedes x y = true -> precedes y x = true -> x = y;
  manifest : Type;
  base_of : manifest -> id;            (* the root of its base [CT-2] *)
  contribution_id : manifest -> id;    (* the hash of a manifest [CT-3] *)
  nonce : Type;
  remark : Type;                       (* time and note [OS-3] *)
  operation_id : operation_over id manifest nonce remark -> id;   (* the hash of an operation [OS-2] *)
  base : id;                           (* of the genesis [OS-1] *)
  recipe : id                          (* of the genesis [OS-1, RC-5] *)
}.

Arguments precedes {_}. Arguments base_of {_}. Arguments contribution_id {_}. Arguments operation_id {_}.

Definition operation (w : workspace) : Type := operation_over (id w) (manifest w) (nonce w) (remark w).

Definition equal {w} (x y : id w) : bool := precedes x y && precedes y x.

(** ** Ids, ascending, each once *)

Fixpoint insert {w} (x : id w) (ids : list (id w)) : list (id w) :=
  match ids with
  | [] => [x]
  | y :: rest => if equal x y then ids else if precedes x y then x :: ids else y :: insert x rest
  end.

Definition ascending {w} (ids : list (id w)) : list (id w) := fold_right insert [] ids.

(** ** States [OS-7] *)

(** A finite set of operations, whatever an operation is: those of a signed workspace are others (Policy.v). The list's
    order and repetitions mean nothing: [same] is equality. *)
Definition state_over (op : Type) : Type := list op.

Definition within {op} (a b : state_over op) : Prop := forall o, In o a -> In o b.
Definition same {op} (a b : state_over op) : Prop := forall o, In o a <-> In o b.

(** Union. *)
Definition join {op} (a b : state_over op) : state_over op := a ++ b.

Definition state (w : workspace) : Type := state_over (operation w).

(** The hash tells these operations apart. *)
Definition collision_free {w} (s : state w) : Prop :=
  forall o p, In o s -> In p s -> operation_id o = operation_id p -> o = p.

(** What of [a] is carried to a peer that holds [b]: the operations whose ids the peer lacks [SY-4]. *)
Definition difference {w} (a b : state w) : state w :=
  filter (fun o => negb (existsb (equal (operation_id o)) (map operation_id b))) a.

(** ** What is visible [OS-8, OS-9] *)

Definition effective {w} (o : operation w) : bool :=
  match o with
  | Add m _ _ => equal (base_of m) (base w)
  | _ => true
  end.

Definition names {w} (o : operation w) (i : id w) : bool :=
  match o with
  | Remove named _ => existsb (equal i) named
  | _ => false
  end.

Definition removed {w} (s : state w) (i : id w) : bool := existsb (fun o => effective o && names o i) s.

(** An effective add that no effective remove names. *)
Definition stands {w} (s : state w) (o : operation w) : bool :=
  match o with
  | Add _ _ _ => effective o && negb (removed s (operation_id o))
  | _ => false
  end.

Definition standing {w} (s : state w) : state w := filter (stands s) s.

Definition contributions {w} (adds : state w) : list (id w) :=
  flat_map (fun o => match o with Add m _ _ => [contribution_id m] | _ => [] end) adds.

(** The visible contributions, ascending, each once. *)
Definition visible {w} (s : state w) : list (id w) := ascending (contributions (standing s)).

(** A contribution that is visible, and what it is. *)
Definition shows {w} (s : state w) (m : manifest w) : Prop := exists n r, In (Add m n r) (standing s).

(** The hash tells the manifests of these operations apart. *)
Definition manifests_told_apart {w} (s : state w) : Prop :=
  forall m n r m' n' r', In (Add m n r) s -> In (Add m' n' r') s -> contribution_id m = contribution_id m' -> m = m'.

(** What the merge id is the hash of [OS-11, MG-10]. *)
Definition merge_input {w} (s : state w) : id w * id w * list (id w) := (base w, recipe w, visible s).

(** The model roots attested for a merge id [OS-12]. *)
Definition attestations {w} (s : state w) (merge : id w) : list (id w) :=
  ascending (flat_map (fun o => match o with
                                | Attest of root _ => if equal of merge then [root] else []
                                | _ => []
                                end) s).

(** ** Commands *)

Definition adds_it {w} (c : id w) (o : operation w) : bool :=
  match o with Add m _ _ => equal (contribution_id m) c | _ => false end.

(** The remove that takes a contribution back: it names every add of it that stands here; none, an error [OS-10]. *)
Definition retract {w} (s : state w) (c : id w) (said : remark w) : option (operation w) :=
  match ascending (map operation_id (filter (adds_it c) (standing s))) with
  | [] => None
  | named => Some (Remove named said)
  end.
