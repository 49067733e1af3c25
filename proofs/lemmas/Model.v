(** The assumptions can be met: a workspace whose hash tells all operations, and all manifests, apart. *)

From Coq Require Import List Arith Cantor Lia.
From MergeAlgebra.Definitions Require Import OperationSet.
Import ListNotations.

Definition pair (x y : nat) : nat := to_nat (x, y).

Lemma pair_tells : forall x y x' y', pair x y = pair x' y' -> x = x' /\ y = y'.
Proof.
  unfold pair. intros x y x' y' equal. apply (f_equal of_nat) in equal. rewrite !cancel_of_to in equal.
  now injection equal.
Qed.

Fixpoint number (ids : list nat) : nat :=
  match ids with
  | [] => 0
  | i :: rest => S (pair i (number rest))
  end.

Lemma number_tells : forall ids others, number ids = number others -> ids = others.
Proof.
  induction ids as [| i ids IH]; intros [| j others] equal; try discriminate; [reflexivity |].
  cbn in equal. injection equal as equal. apply pair_tells in equal as [-> equal]. f_equal. now apply IH.
Qed.

Definition hash (o : operation_over nat nat nat nat) : nat :=
  match o with
  | Add m n r => pair 0 (pair m (pair n r))
  | Remove named r => pair 1 (pair (number named) r)
  | Attest c root r => pair 2 (pair c (pair root r))
  end.

Lemma hash_tells : forall o p, hash o = hash p -> o = p.
Proof.
  intros [] [] equal; cbn in equal; repeat (apply pair_tells in equal as [? equal]); try discriminate; subst;
    try reflexivity.
  now rewrite (number_tells named named0).
Qed.

Lemma leb_total : forall x y, (x <=? y) = true \/ (y <=? x) = true.
Proof. intros x y. rewrite !Nat.leb_le. lia. Qed.

Lemma leb_transitive : forall x y z, (x <=? y) = true -> (y <=? z) = true -> (x <=? z) = true.
Proof. intros x y z. rewrite !Nat.leb_le. lia. Qed.

Lemma leb_antisymmetric : forall x y, (x <=? y) = true -> (y <=? x) = true -> x = y.
Proof. intros x y. rewrite !Nat.leb_le. lia. Qed.

(** Base 0 for every manifest and for the genesis. *)
Definition example : workspace :=
  Workspace nat Nat.leb leb_total leb_transitive leb_antisymmetric nat (fun _ => 0) (fun m => m) nat nat hash 0 0.

Lemma assumptions_can_be_met : exists w : workspace,
  (forall o p : operation w, operation_id o = operation_id p -> o = p)
  /\ (forall m n : manifest w, contribution_id m = contribution_id n -> m = n)
  /\ exists m : manifest w, base_of m = base w.
Proof. exists example. split; [exact hash_tells |]. split; [now intros m n |]. now exists 0. Qed.
