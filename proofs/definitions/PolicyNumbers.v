(** Workspaces to compute with, in the counterexamples and in the oracle: ids, keys and contributions are numbers. *)

From Coq Require Import NArith List Bool.
From MergeAlgebra.Definitions Require Import OperationSet Policy.
Import ListNotations.
Open Scope N_scope.

Lemma leb_total : forall x y, (x <=? y) = true \/ (y <=? x) = true.
Proof. intros x y. rewrite !N.leb_le. apply N.le_ge_cases. Qed.

Lemma leb_transitive : forall x y z, (x <=? y) = true -> (y <=? z) = true -> (x <=? z) = true.
Proof. intros x y z. rewrite !N.leb_le. apply N.le_trans. Qed.

Lemma leb_antisymmetric : forall x y, (x <=? y) = true -> (y <=? x) = true -> x = y.
Proof. intros x y. rewrite !N.leb_le. apply N.le_antisymm. Qed.

(** An operation carries its id where others carry what is said. A manifest is its base and its contribution's id. *)
Definition said_in (o : operation_over N (N * N) unit N) : N :=
  match o with Add _ _ said | Remove _ said | Attest _ _ said => said end.

Definition number (e : entry_over N (N * N) unit N bool) : N :=
  match action e with
  | Data o => said_in o
  | Grant _ _ said | Revoke _ said | Keep _ _ said | Later said => said
  end.

(** Whether a signature is right stands in it. *)
Definition is_right (e : entry_over N (N * N) unit N bool) : bool :=
  match signed e with Some (_, valid) => valid | None => false end.

Definition numbers (base : N) : workspace :=
  Workspace N N.leb leb_total leb_transitive leb_antisymmetric (N * N) fst snd unit N said_in base 0.

Definition governed (base : N) (keys : option (list N)) : authority (numbers base) :=
  Authority (numbers base) bool is_right number keys.
