(** Lists of ids, ascending, each once: one list for one set. *)

From Coq Require Import List Bool Sorting.Sorted.
From MergeAlgebra.Definitions Require Import OperationSet.
Import ListNotations.

Section Ascending.
  Context {w : workspace}.
  Implicit Types x y z : id w.
  Implicit Types ids others : list (id w).

  Definition before (x y : id w) : Prop := precedes x y = true /\ x <> y.

  Lemma precedes_itself : forall x : id w, precedes x x = true.
  Proof. intros x. destruct (precedes_total w x x); assumption. Qed.

  Lemma equal_iff : forall x y : id w, equal x y = true <-> x = y.
  Proof.
    intros x y. unfold equal. rewrite andb_true_iff. split.
    - intros [forth back]. now apply precedes_antisymmetric.
    - intros ->. split; apply precedes_itself.
  Qed.

  Lemma equal_decides : forall x y : id w, reflect (x = y) (equal x y).
  Proof. intros x y. apply iff_reflect. symmetry. apply equal_iff. Qed.

  Lemma existsb_equal_iff : forall (x : id w) ids, existsb (equal x) ids = true <-> In x ids.
  Proof.
    intros x ids. rewrite existsb_exists. split.
    - intros [y [found same]]. apply equal_iff in same. now subst.
    - intros found. exists x. split; [exact found | now apply equal_iff].
  Qed.

  Lemma before_transitive : forall x y z, before x y -> before y z -> before x z.
  Proof.
    intros x y z [xy differ] [yz _]. split.
    - now apply precedes_transitive with y.
    - intros ->. apply differ. now apply precedes_antisymmetric.
  Qed.

  Lemma before_irreflexive : forall x, ~ before x x.
  Proof. now intros x [_ differ]. Qed.

  Lemma in_insert : forall x y ids, In y (insert x ids) <-> y = x \/ In y ids.
  Proof.
    intros x y ids. induction ids as [| z rest IH]; cbn.
    - intuition.
    - destruct (equal_decides x z) as [-> |]; [cbn; intuition |].
      destruct (precedes x z); cbn; [intuition |]. rewrite IH. intuition.
  Qed.

  Lemma in_ascending : forall x ids, In x (ascending ids) <-> In x ids.
  Proof.
    intros x ids. induction ids as [| y rest IH]; cbn; [tauto |].
    rewrite in_insert, IH. intuition.
  Qed.

  Lemma insert_ascends : forall x ids, StronglySorted before ids -> StronglySorted before (insert x ids).
  Proof.
    intros x ids. induction ids as [| y rest IH]; intros sorted; cbn.
    - repeat constructor.
    - destruct (equal_decides x y) as [-> | differ]; [exact sorted |].
      destruct (precedes x y) eqn:order.
      + constructor; [exact sorted |]. apply Forall_forall. intros z found.
        apply StronglySorted_inv in sorted as [_ all]. rewrite Forall_forall in all.
        cbn in found. destruct found as [<- | found]; [split; assumption |].
        apply before_transitive with y; [split; assumption | now apply all].
      + apply StronglySorted_inv in sorted as [sorted all]. rewrite Forall_forall in all.
        constructor; [now apply IH |]. apply Forall_forall. intros z found.
        apply in_insert in found as [-> | found]; [| now apply all].
        split; [| congruence]. destruct (precedes_total w y x); congruence.
  Qed.

  Lemma ascending_ascends : forall ids, StronglySorted before (ascending ids).
  Proof.
    induction ids; cbn; [constructor | now apply insert_ascends].
  Qed.

  Lemma ascending_lists_are_equal : forall ids others,
    StronglySorted before ids -> StronglySorted before others -> (forall x, In x ids <-> In x others) -> ids = others.
  Proof.
    induction ids as [| x ids IH]; intros [| y others] sorted sorted' members.
    - reflexivity.
    - exfalso. apply (members y). now left.
    - exfalso. apply (members x). now left.
    - apply StronglySorted_inv in sorted as [sorted all]. apply StronglySorted_inv in sorted' as [sorted' all'].
      rewrite Forall_forall in all, all'.
      assert (x = y) as <-.
      { destruct (proj1 (members x)) as [-> | later]; [now left | reflexivity |].
        destruct (proj2 (members y)) as [-> | later']; [now left | reflexivity |].
        exfalso. apply (before_irreflexive x). apply before_transitive with y; auto. }
      f_equal. apply IH; [exact sorted | exact sorted' |].
      intros z. split; intros found.
      + destruct (proj1 (members z)) as [-> | kept]; [now right | | exact kept].
        exfalso. now apply (before_irreflexive z), all.
      + destruct (proj2 (members z)) as [-> | kept]; [now right | | exact kept].
        exfalso. now apply (before_irreflexive z), all'.
  Qed.

  Lemma ascending_canonical : forall ids others,
    (forall x, In x ids <-> In x others) -> ascending ids = ascending others.
  Proof.
    intros ids others members. apply ascending_lists_are_equal; try apply ascending_ascends.
    intros x. rewrite !in_ascending. apply members.
  Qed.
End Ascending.
