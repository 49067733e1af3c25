(** Who may change what: the policy of a signed workspace, and that of an open one beside it (spec/signatures.md, SG-3
    to SG-11).

    Everything is decided from the genesis and the set of operations, in three steps and without a clock. Maintainers
    stand in the genesis; the grants, revokes and keeps that they signed count, and nothing takes that away. These
    decide which operations of writers count. Those that count decide what is visible. *)

From Coq Require Import List Bool.
From MergeAlgebra.Definitions Require Import OperationSet.
Import ListNotations.

(** ** Operations *)

Inductive action_over (id manifest nonce remark : Type) : Type :=
  | Data (what : operation_over id manifest nonce remark)  (* add, remove, attest: as in an open workspace *)
  | Grant (to : id) (once : nonce) (said : remark)         (* to a key; what it calls the holder is a remark *)
  | Revoke (grants : list id) (said : remark)
  | Keep (revoke : id) (kept : list id) (said : remark)    (* of what a revoke hits, these stay in force *)
  | Later (said : remark).                                 (* of a later version: nothing of it is understood *)

Arguments Data {id manifest nonce remark}.
Arguments Grant {id manifest nonce remark}.
Arguments Revoke {id manifest nonce remark}.
Arguments Keep {id manifest nonce remark}.
Arguments Later {id manifest nonce remark}.

(** An operation of a signed workspace: who signed it, under which grant, and what it is. *)
Record entry_over (id manifest nonce remark signature : Type) : Type := Entry {
  signed : option (id * signature);  (* the author's key and signature; none in an open workspace *)
  under : option id;                 (* the grant that a writer names *)
  action : action_over id manifest nonce remark
}.

Arguments Entry {id manifest nonce remark signature}.
Arguments signed {id manifest nonce remark signature}.
Arguments under {id manifest nonce remark signature}.
Arguments action {id manifest nonce remark signature}.

(** A public key is 32 bytes, as an id is; only equality counts. *)
Definition key (w : workspace) : Type := id w.

(** What the policy needs beside the workspace. Of signatures and hashes nothing is taken for granted. *)
Record authority (w : workspace) : Type := Authority {
  signature : Type;
  genuine : entry_over (id w) (manifest w) (nonce w) (remark w) signature -> bool;
    (* the signature is that of the author's key, over all the rest and this workspace *)
  entry_id : entry_over (id w) (manifest w) (nonce w) (remark w) signature -> id w;
    (* the hash of all of it, the signature included *)
  maintainers : option (list (key w))  (* of the genesis; none in an open workspace *)
}.

Arguments signature {w}. Arguments genuine {w}. Arguments entry_id {w}. Arguments maintainers {w}.

Section Policy.
  Context {w : workspace} (a : authority w).

  Definition entry : Type := entry_over (id w) (manifest w) (nonce w) (remark w) (signature a).

  Implicit Types s : state_over entry.
  Implicit Types e grant revoke keep remove : entry.

  Definition is_signed : Prop := maintainers a <> None.

  Definition author e : option (key w) := option_map fst (signed e).

  Definition by_nobody e : bool := match signed e, under e with None, None => true | _, _ => false end.

  Definition same_author e other : bool :=
    match author e, author other with
    | Some k, Some l => equal k l
    | None, None => true
    | _, _ => false
    end.

  (** ** First: what maintainers signed *)

  Definition maintains (k : key w) : bool :=
    match maintainers a with Some keys => existsb (equal k) keys | None => false end.

  Definition by_maintainer e : bool :=
    match author e with Some k => maintains k && genuine a e | None => false end.

  Definition grants grant (k : key w) : bool :=
    match action grant with Grant to _ _ => by_maintainer grant && equal to k | _ => false end.

  Definition revokes revoke (i : id w) : bool :=
    match action revoke with Revoke named _ => by_maintainer revoke && existsb (equal i) named | _ => false end.

  (** The operation of id [i] is kept in spite of the revoke of id [r]. *)
  Definition keeps keep (r i : id w) : bool :=
    match action keep with
    | Keep revoke kept _ => by_maintainer keep && equal revoke r && existsb (equal i) kept
    | _ => false
    end.

  (** ** Second: what counts *)

  (** Some grant of id [i], held here, is to this key. *)
  Definition granted s (i : id w) (k : key w) : bool := existsb (fun g => equal (entry_id a g) i && grants g k) s.

  (** By one of the keeps held here; so what counts is the union of all keeps of that revoke. *)
  Definition kept s (r i : id w) : bool := existsb (fun k => keeps k r i) s.

  (** Each revoke of the grant that is held here keeps the operation. *)
  Definition kept_by_all s (grant i : id w) : bool :=
    forallb (fun r => implb (revokes r grant) (kept s (entry_id a r) i)) s.

  (** A writer's operation: it names a grant to its author, which is in force for it. *)
  Definition permitted s e : bool :=
    match author e, under e with
    | Some k, Some grant => genuine a e && granted s grant k && kept_by_all s grant (entry_id a e)
    | _, _ => false
    end.

  (** What is relayed and covered by roots and ranges. In an open workspace nobody signs. *)
  Definition admissible s e : bool :=
    match maintainers a with
    | Some _ => by_maintainer e || permitted s e
    | None => by_nobody e
    end.

  (** What counts. An add for another base never does, and grants, revokes and keeps only when a maintainer signed. *)
  Definition effective s e : bool :=
    admissible s e && match action e with
                      | Data o => OperationSet.effective o
                      | Grant _ _ _ | Revoke _ _ | Keep _ _ _ => by_maintainer e
                      | Later _ => false
                      end.

  (** ** Third: what is visible *)

  Definition names e (i : id w) : bool := match action e with Data o => OperationSet.names o i | _ => false end.

  (** A remove acts name by name: on an add of the same author, or on any when a maintainer signed it. *)
  Definition removes remove e : bool :=
    names remove (entry_id a e) && (by_maintainer remove || same_author remove e).

  Definition removed s e : bool := existsb (fun r => effective s r && removes r e) s.

  (** An effective add that no effective remove acts on. *)
  Definition stands s e : bool :=
    match action e with
    | Data (Add _ _ _) => effective s e && negb (removed s e)
    | _ => false
    end.

  Definition standing s : state_over entry := filter (stands s) s.

  Definition contributions (adds : state_over entry) : list (id w) :=
    flat_map (fun e => match action e with Data (Add m _ _) => [contribution_id m] | _ => [] end) adds.

  (** The visible contributions, ascending, each once. *)
  Definition visible s : list (id w) := ascending (contributions (standing s)).

  (** ** Witnesses [SG-12] *)

  (** It says that this root was computed for this merge. *)
  Definition attests e (merge root : id w) : bool :=
    match action e with Data (Attest m r _) => equal m merge && equal r root | _ => false end.

  (** A key attests a root: an effective attest of its says so. *)
  Definition key_attests s (k : key w) (merge root : id w) : Prop :=
    exists e, In e s /\ effective s e = true /\ author e = Some k /\ attests e merge root = true.

  (** It counts for it: it attests no other root for this merge. *)
  Definition counts_for s (k : key w) (merge root : id w) : Prop :=
    key_attests s k merge root /\ forall other, key_attests s k merge other -> other = root.

  Definition by_key (k : key w) e : bool := match author e with Some l => equal l k | None => false end.

  (** Whether it attests for this merge, and another root than this. *)
  Definition attests_another e (merge root : id w) : bool :=
    match action e with Data (Attest m r _) => equal m merge && negb (equal r root) | _ => false end.

  Definition equivocates s (k : key w) (merge root : id w) : bool :=
    existsb (fun e => effective s e && by_key k e && attests_another e merge root) s.

  Definition witness s e (merge root : id w) : list (key w) :=
    match author e with
    | Some k => if effective s e && attests e merge root && negb (equivocates s k merge root) then [k] else []
    | None => []
    end.

  (** The keys that count for a root, ascending, each once: as it is computed. *)
  Definition witnesses s (merge root : id w) : list (key w) :=
    ascending (flat_map (fun e => witness s e merge root) s).

  (** ** Sync *)

  (** What goes from who holds [s] to who holds [t]: what is admissible in both together [SG-10]. *)
  Definition carried s t : state_over entry := filter (admissible (join s t)) s.

  (** Each two of these replicas have synced: nothing is left that one would send to the other. *)
  Definition all_synced (replicas : list (state_over entry)) : Prop :=
    forall s t, In s replicas -> In t replicas -> within (carried s t) t.

  (** ** Revoking a key *)

  (** The grants to a key that are held here and count. *)
  Definition grants_to s (k : key w) : list (id w) := map (entry_id a) (filter (fun g => grants g k) s).

  (** What is held here of what a key signed, removes included. *)
  Definition done_by s (k : key w) : list (id w) := map (entry_id a) (filter (by_key k) s).

  (** The hash tells these operations apart. *)
  Definition ids_told_apart s : Prop :=
    forall e other, In e s -> In other s -> entry_id a e = entry_id a other -> e = other.

  (** ** An open workspace *)

  (** An operation that nobody signed. *)
  Definition unsigned (o : operation w) : entry := Entry None None (Data o).

  (** What an open workspace reads: the operations that nobody signed. *)
  Definition open_part s : state w :=
    flat_map (fun e => match action e with Data o => if by_nobody e then [o] else [] | _ => [] end) s.
End Policy.

Arguments entry {w}.
